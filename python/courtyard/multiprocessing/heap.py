"""The standard library's ``multiprocessing.heap``."""

import sys
from multiprocessing import heap
from multiprocessing.heap import *

sys.modules[__name__] = heap
