"""The standard library's ``multiprocessing.popen_fork``."""

import sys
from multiprocessing import popen_fork
from multiprocessing.popen_fork import *

sys.modules[__name__] = popen_fork
