"""Where containers keep what they hold: shared memory, as the native classes have it.

What a container *means* is in the other modules here, over what ``store.pyi`` says that a store
provides, and nothing else: find many, change many, keys, items, and changes of one key at a time.
Checkers read the protocols there, and here stand the classes that Python calls without a frame
between.

**Another store** derives from the public class and has its own methods in front of it. Types that
derive from others take it along, those of programs too::

    class RemoteDict(RemoteMapping, Dict): ...
    RemoteNestedDict = _public.in_store(NestedDict, RemoteDict)

So ``isinstance(x, Dict)``, ``issubclass``, annotations, and what a program's subclass overrides
hold for all stores, and calls of native methods ask nothing. The native part of such an object is
not made: what a store forgets to provide raises NotMade. For this, what is here calls a store by
``self``, and by ``super()`` only where a type that derives from another extends it.
"""

from courtyard._native import Deque as DequeStore
from courtyard._native import Dict as MappingStore
from courtyard._native import List as ListStore
from courtyard._native import Sequence as SequenceStore
from courtyard._native import Table as TableStore
from courtyard._native import begin_merge as begin_merge
from courtyard._native import install as install
from courtyard._native import showing as showing
from courtyard._native import soon as soon

__all__ = ["DequeStore", "ListStore", "MappingStore", "SequenceStore", "TableStore"]
