"""The standard library's ``multiprocessing.pool``."""

import sys
from multiprocessing import pool
from multiprocessing.pool import *

sys.modules[__name__] = pool
