"""Containers: what they do, whatever keeps their values."""

from courtyard._container.counter import Counter as Counter
from courtyard._container.deque import Deque as Deque
from courtyard._container.dict import Dict as Dict
from courtyard._container.list import List as List
from courtyard._container.namespace import Namespace as Namespace
from courtyard._container.nested import NestedDict as NestedDict
from courtyard._container.set import Set as Set
