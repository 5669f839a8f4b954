"""The standard library's ``multiprocessing.shared_memory``."""

import sys
from multiprocessing import shared_memory
from multiprocessing.shared_memory import *

sys.modules[__name__] = shared_memory
