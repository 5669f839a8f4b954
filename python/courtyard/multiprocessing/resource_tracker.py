"""The standard library's ``multiprocessing.resource_tracker``."""

import sys
from multiprocessing import resource_tracker
from multiprocessing.resource_tracker import *

sys.modules[__name__] = resource_tracker
