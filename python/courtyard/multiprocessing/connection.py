"""The standard library's ``multiprocessing.connection``."""

import sys
from multiprocessing import connection
from multiprocessing.connection import *

sys.modules[__name__] = connection
