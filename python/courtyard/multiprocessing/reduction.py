"""The standard library's ``multiprocessing.reduction``."""

import sys
from multiprocessing import reduction
from multiprocessing.reduction import *

sys.modules[__name__] = reduction
