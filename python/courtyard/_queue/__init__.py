"""Queues."""

from courtyard._queue.queue import JoinableQueue as JoinableQueue
from courtyard._queue.queue import LifoQueue as LifoQueue
from courtyard._queue.queue import PriorityQueue as PriorityQueue
from courtyard._queue.queue import Queue as Queue
from courtyard._queue.queue import SimpleQueue as SimpleQueue
