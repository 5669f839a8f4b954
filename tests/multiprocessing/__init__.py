"""The drop-in for multiprocessing."""
