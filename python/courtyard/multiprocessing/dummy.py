"""The standard library's ``multiprocessing.dummy``."""

import sys
from multiprocessing import dummy
from multiprocessing.dummy import *

sys.modules[__name__] = dummy
sys.modules[f"{__name__}.connection"] = dummy.connection
