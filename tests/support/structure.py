"""Structures and unions of all sorts, as tests share them."""

import ctypes


# What type checkers would rightly refuse is tried too.
class Coordinates(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Solid(Coordinates):
    _fields_ = [("z", ctypes.c_short)]


class Bits(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint, 3), ("b", ctypes.c_uint, 5), ("c", ctypes.c_int, 7)]


class Nested(ctypes.Structure):
    _fields_ = [
        ("start", Coordinates),
        ("row", ctypes.c_int * 3),
        ("title", ctypes.c_char * 8),
        ("letter", ctypes.c_wchar),
        ("value", ctypes.c_int),
        ("wait_for", ctypes.c_int),
        ("close", ctypes.c_byte),
    ]


class Either(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("real", ctypes.c_float)]


class BigEndian(ctypes.BigEndianStructure):
    _fields_ = [("short", ctypes.c_short), ("long", ctypes.c_longlong)]


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what `_pack_` means where it is not said; it must be, from 3.14 on
    _fields_ = [("first", ctypes.c_byte), ("number", ctypes.c_longlong), ("last", ctypes.c_byte)]
