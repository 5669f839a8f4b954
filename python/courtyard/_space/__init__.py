"""Spaces: where shared objects live, and what finds or makes them there."""

from courtyard._pickle import _rebuild as _rebuild
from courtyard._space.space import Space as Space
from courtyard._space.space import default as default
