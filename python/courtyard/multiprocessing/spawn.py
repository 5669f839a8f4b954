"""The standard library's ``multiprocessing.spawn``."""

import sys
from multiprocessing import spawn
from multiprocessing.spawn import *

sys.modules[__name__] = spawn
