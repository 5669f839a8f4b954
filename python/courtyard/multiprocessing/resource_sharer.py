"""The standard library's ``multiprocessing.resource_sharer``."""

import sys
from multiprocessing import resource_sharer
from multiprocessing.resource_sharer import *

sys.modules[__name__] = resource_sharer
