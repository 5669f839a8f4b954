"""The standard library's ``multiprocessing.util``."""

import sys
from multiprocessing import util
from multiprocessing.util import *

sys.modules[__name__] = util
