"""Dict, List, Set, Deque, Counter, Namespace, NestedDict, and their keys."""
