"""Scenes in which objects are attacked from the sides, by the program that uses them.

Not by kills alone: by forks, stops, exits, callbacks, limits, privileges and crowds of threads.
Each scene is played in children that end by themselves. What all promise: every call comes back in
time with its result or with an exception, the space is sound, what it has of objects, names,
processes and descriptors is what it had, and what was acknowledged is there.
"""
