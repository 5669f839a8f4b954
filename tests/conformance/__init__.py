"""CPython's own tests of multiprocessing, threading and queue, run on courtyard's types."""
