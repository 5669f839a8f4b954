"""The standard library's ``multiprocessing.popen_forkserver``."""

import sys
from multiprocessing import popen_forkserver
from multiprocessing.popen_forkserver import *

sys.modules[__name__] = popen_forkserver
