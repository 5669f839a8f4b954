"""Values and arrays, and what they may be declared as."""

from courtyard._pickle import _rebuild as _rebuild
from courtyard._value.array import Array as Array
from courtyard._value.array import RawArray as RawArray
from courtyard._value.sharing import copy as copy
from courtyard._value.sharing import synchronized as synchronized
from courtyard._value.value import RawValue as RawValue
from courtyard._value.value import Value as Value
