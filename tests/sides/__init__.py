"""Scenarios in which objects are attacked from the sides, by the program that uses them.

Not by kills alone: by forks, stops, exits, callbacks, limits, privileges and crowds of threads.
Each scenario is played in children that end by themselves. All promise the same: every call comes
back in time with its result or with an exception, the space is sound, the objects, names, processes
and descriptors that it has are as many as before, and what was acknowledged is there.
"""
