"""The standard library's ``multiprocessing.managers``."""

import sys
from multiprocessing import managers
from multiprocessing.managers import *

sys.modules[__name__] = managers
