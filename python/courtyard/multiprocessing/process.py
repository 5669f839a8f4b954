"""The standard library's ``multiprocessing.process``."""

import sys
from multiprocessing import process
from multiprocessing.process import *

sys.modules[__name__] = process
