"""The standard library's ``multiprocessing.popen_spawn_posix``."""

import sys
from multiprocessing import popen_spawn_posix
from multiprocessing.popen_spawn_posix import *

sys.modules[__name__] = popen_spawn_posix
