"""The standard library's ``multiprocessing.forkserver``."""

import sys
from multiprocessing import forkserver
from multiprocessing.forkserver import *

sys.modules[__name__] = forkserver
