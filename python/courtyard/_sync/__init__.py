"""Locks, and what else processes and threads wait for each other with."""

from courtyard._sync.barrier import Barrier as Barrier
from courtyard._sync.condition import Condition as Condition
from courtyard._sync.event import Event as Event
from courtyard._sync.lock import Lock as Lock
from courtyard._sync.lock import RLock as RLock
from courtyard._sync.semaphore import BoundedSemaphore as BoundedSemaphore
from courtyard._sync.semaphore import Semaphore as Semaphore
