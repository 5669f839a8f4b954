"""CPython's tests that cannot apply to courtyard's types, each with its reason."""

import sys

_FORK_HOOK = (
    "a private hook that frees a lock in a forked child; a shared lock is its holder's there"
)
_LOCAL = "stores instances of a local class, which cannot be pickled"
_COPY = "copy() returns a plain builtin"
_NO_SITE = "runs Python without its site, and so without what is installed"
_BYTES = "no __eq__ of the user is called: keys are compared by their bytes"
_REPR = "its repr says that it is shared, and what it is"
_IDENTITY = "wants the very object back that was stored"
_SNAPSHOT = "iteration is over a snapshot, and never raises for a change"
_PRIVATE = "looks into private lists and counts of asyncio's class"
_HANDED = "a permit is free until the task that was woken takes it"
_AS_THREADINGS = "reset() breaks nobody who is about to leave, as threading's; asyncio's does"

EXCLUDED = {
    "LockTests.test_at_fork_reinit": _FORK_HOOK,
    "EventTests.test_at_fork_reinit": _FORK_HOOK,
    "CFailingQueueTest.test_failing_queue": "overrides _put and _get, queue.Queue's private hooks",
    "CSimpleQueueTest.test_references": "puts instances of a local class, which cannot be pickled",
    "TestStartMethod.test_mixed_startmethod": "wants a queue made under fork refused elsewhere",
    # As in test.test_threading.
    "ConditionAsRLockTests.test_recursion_count": "a Condition has no _recursion_count()",
    "WithManagerTestContainers.test_dict_iter": _SNAPSHOT,
    "WithManagerTestContainers.test_list_iter": _SNAPSHOT,
    # Containers.
    "DictTests.test_copy": _COPY,
    "DictTests.test_eq": _LOCAL,
    "DictTests.test_getitem": _LOCAL,
    "DictTests.test_pop": _LOCAL,
    "DictTests.test_repr": _REPR,
    "DictTests.test_repr_deep": "nests deeper than pickle can",
    "DictTests.test_setdefault": _LOCAL,
    "NestedDictTests.test_copy": _COPY,
    "NestedDictTests.test_eq": _LOCAL,
    "NestedDictTests.test_getitem": _LOCAL,
    "NestedDictTests.test_pop": _LOCAL,
    "NestedDictTests.test_repr": _REPR,
    "NestedDictTests.test_repr_deep": "nests deeper than pickle can",
    "NestedDictTests.test_setdefault": _LOCAL,
    "ListTests.test_contains_order": _LOCAL,
    "ListTests.test_exhausted_iterator": _SNAPSHOT,
    "ListTests.test_index": _LOCAL,
    "ListTests.test_remove": _LOCAL,
    "ListTests.test_repr": _REPR,
    "DequeTests.test_container_iterator": _LOCAL,
    "DequeTests.test_contains": _LOCAL,
    (
        "DequeTests.test_contains_count_index_stop_crashes"
        if sys.version_info >= (3, 13)
        else "DequeTests.test_contains_count_stop_crashes"
    ): _LOCAL,
    "DequeTests.test_copy": _IDENTITY,
    "DequeTests.test_count": _LOCAL,
    "DequeTests.test_deepcopy": "changes an object that it has stored; what is stored is a copy",
    "DequeTests.test_index": _LOCAL,
    "DequeTests.test_iterator_pickle": "pickles an iterator; one of ours is over a snapshot",
    "DequeTests.test_maxlen": _REPR,
    "DequeTests.test_maxlen_attribute": "expects that it cannot be set; ours may be",
    "DequeTests.test_pickle_recursive": _IDENTITY,
    "DequeTests.test_remove": _IDENTITY,
    "DequeTests.test_repr": _REPR,
    "DequeTests.test_reversed_new": "makes an iterator by its class; ours is a plain list's",
    "DequeTests.test_sizeof": "its content is in shared memory: see statistics()",
    "DequeArgsTests.test_iter_with_altered_data": _SNAPSHOT,
    "DequeArgsTests.test_runtime_error_on_empty_deque": _SNAPSHOT,
    "DequeSequenceTests.test_contains_order": _LOCAL,
    "CounterTests.test_basics": "wants a subclass of dict, whose C code would not see the content",
    "CounterTests.test_copy_subclass": _COPY,
    "CounterTests.test_copying": _REPR,
    "CounterTests.test_helper_function": "calls __init__ of an object of collections.Counter",
    "CounterTests.test_inplace_operations": _COPY,
    "SetTests.test_cyclical_repr": _REPR,
    "SetTests.test_deepcopy": _LOCAL,
    "SetTests.test_pickling": "sets an attribute; only objects of subclasses have any",
    "SetTests.test_badcmp": _BYTES,
    "SetTests.test_do_not_rehash_dict_keys": "counts calls of __hash__, which differs by process",
    "SetExceptionTests.test_changingSizeWhileIterating": _SNAPSHOT,
    "SetEmptyTests.test_repr": _REPR,
    "SetSingletonTests.test_repr": _REPR,
    "SetTupleTests.test_repr": _REPR,
    "SetStringTests.test_repr": _REPR,
    # Twins of asyncio's classes.
    "AioQueueBasicTests.test_repr": _REPR,
    "AioQueueBasicTests.test_str": _REPR,
    "AioQueueGetTests.test_get_with_putters": _PRIVATE,
    "AioQueuePutTests.test_float_maxsize": "a maxsize is a whole number",
    "AioQueueJoinTests.test_format": _PRIVATE,
    "AioLifoQueueJoinTests.test_format": _PRIVATE,
    "AioPriorityQueueJoinTests.test_format": _PRIVATE,
    "AioLockTests.test_repr": _REPR,
    "AioLockTests.test_cancel_race": _PRIVATE,
    "AioLockTests.test_lock_doesnt_accept_loop_parameter": "wants an error that names __init__()",
    "AioEventTests.test_repr": _REPR,
    "AioConditionTests.test_repr": _REPR,
    "AioConditionTests.test_ambiguous_loops": "belongs to no loop: tasks of all loops share it",
    "AioSemaphoreTests.test_repr": _REPR,
    "AioSemaphoreTests.test_acquire": _HANDED,
    "AioBarrierTests.test_barrier": _REPR,
    "AioBarrierTests.test_repr": _REPR,
    "AioBarrierTests.test_draining_state": _REPR,
    "AioBarrierTests.test_filling_task_by_task": _REPR,
    "AioBarrierTests.test_reset_barrier_when_tasks_half_draining": _AS_THREADINGS,
    "AioBarrierTests.test_reset_barrier_when_tasks_half_draining_half_blocking": _AS_THREADINGS,
}
if sys.version_info >= (3, 13):
    EXCLUDED |= {
        "AioSemaphoreTests.test_acquire_fifo_order_4": _HANDED,
        "AioQueueShutdownTests.test_format": _PRIVATE,
        "AioLifoQueueShutdownTests.test_format": _PRIVATE,
        "AioPriorityQueueShutdownTests.test_format": _PRIVATE,
    }
if sys.version_info >= (3, 14):
    EXCLUDED |= {
        "WithProcessesTestLock.test_repr_lock": _REPR,
        "WithProcessesTestLock.test_repr_rlock": _REPR,
        "TestStartMethod.test_import_does_not_determine_default_start_method": _NO_SITE,
        "ConditionTests.test_nan_timeout": "looks into threading.Condition's list of waiters",
        "RLockTests.test_repr_count": _REPR,
        "ConditionAsRLockTests.test_repr_count": _REPR,
        "SetTests.test_hash_collision_remove_add": _BYTES,
    }
if sys.version_info >= (3, 14, 10):
    EXCLUDED |= {
        "CounterTests.test_update_reentrant_add_clears_counter": _LOCAL,
    }
if sys.version_info >= (3, 15):
    EXCLUDED |= {
        "CSimpleQueueTest.test_simplequeue_sizeof": "its content is in shared memory",
    }
