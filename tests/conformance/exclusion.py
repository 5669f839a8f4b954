"""CPython's tests that cannot apply to courtyard's types, each with its reason."""

_FORK_HOOK = (
    "a private hook that frees a lock in a forked child; a shared lock is its holder's there"
)

EXCLUDED = {
    "LockTests.test_at_fork_reinit": _FORK_HOOK,
    "EventTests.test_at_fork_reinit": _FORK_HOOK,
    "CFailingQueueTest.test_failing_queue": "overrides _put and _get, queue.Queue's private hooks",
    "CSimpleQueueTest.test_references": "puts instances of a local class, which cannot be pickled",
    "TestStartMethod.test_mixed_startmethod": "wants a queue made under fork refused elsewhere",
    # As in test.test_threading.
    "ConditionAsRLockTests.test_recursion_count": "a Condition has no _recursion_count()",
}
