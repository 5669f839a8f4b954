"""Spaces: where shared objects live, and what finds or makes them there."""

from courtyard._pickle import rebuild as _rebuild  # noqa: F401  # in pickles of earlier builds
from courtyard._space.space import Space as Space
from courtyard._space.space import default as default
