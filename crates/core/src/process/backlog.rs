//! Work that could not be done at once, in its order: private to a process, and empty as a rule.
//!
//! Its latch is held for a few instructions and never while anything waits; nothing is allocated or
//! freed under it. It names its holder by a number that no child forked meanwhile has: a child that
//! finds it held by its parent starts with an empty list.

use crate::os;
use crate::sync::{AtomicU64, Ordering};
use std::cell::UnsafeCell;
use std::ptr;

struct Node<T> {
    value: T,
    next: *mut Node<T>,
}

struct Ends<T> {
    first: *mut Node<T>,
    last: *mut Node<T>,
}

impl<T> Ends<T> {
    const NONE: Ends<T> = Ends {
        first: ptr::null_mut(),
        last: ptr::null_mut(),
    };
}

/// First in, first out; one thread of a process at a time takes from it.
pub struct Backlog<T> {
    /// Who has the latch, or 0.
    latch: AtomicU64,
    /// Who carries work out, or 0.
    runner: AtomicU64,
    length: AtomicU64,
    ends: UnsafeCell<Ends<T>>,
}

// SAFETY: `ends` is only reached with the latch held.
unsafe impl<T: Send> Send for Backlog<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Backlog<T> {}

impl<T> Default for Backlog<T> {
    fn default() -> Backlog<T> {
        Backlog {
            latch: AtomicU64::new(0),
            runner: AtomicU64::new(0),
            length: AtomicU64::new(0),
            ends: UnsafeCell::new(Ends::NONE),
        }
    }
}

impl<T: Copy> Backlog<T> {
    /// `me` is a number of this process that is not 0, and that no child of it has.
    fn with<R>(&self, me: u64, work: impl FnOnce(&mut Ends<T>) -> R) -> R {
        loop {
            let order = Ordering::Acquire;
            match self.latch.compare_exchange(0, me, order, Ordering::Relaxed) {
                Ok(_) => break,
                Err(seen) if seen == me => os::yield_now(),
                Err(stale) => {
                    let taken = self.latch.compare_exchange(stale, me, order, order);
                    if taken.is_ok() {
                        // SAFETY: the latch is held. What a fork tore is leaked, not read.
                        unsafe { self.ends.get().write(Ends::NONE) };
                        self.length.store(0, Ordering::Relaxed);
                        break;
                    }
                }
            }
        }
        // SAFETY: the latch is held, and `work` comes from below, where nothing re-enters.
        let result = work(unsafe { &mut *self.ends.get() });
        self.latch.store(0, Ordering::Release);
        result
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.length.load(Ordering::Relaxed) == 0
    }

    pub fn push(&self, me: u64, value: T) {
        let next = ptr::null_mut();
        let node = Box::into_raw(Box::new(Node { value, next }));
        self.with(me, |ends| {
            if ends.last.is_null() {
                ends.first = node;
            } else {
                // SAFETY: nodes on the list are live boxes, reached with the latch held only.
                unsafe { (*ends.last).next = node };
            }
            ends.last = node;
            let length = self.length.load(Ordering::Relaxed);
            self.length.store(length + 1, Ordering::Relaxed);
        });
    }

    /// Makes the caller the one who takes from the list; false if another thread is, or if there is
    /// nothing on it.
    pub fn begin(&self, me: u64) -> bool {
        self.with(me, |ends| {
            let is_idle = self.runner.load(Ordering::Relaxed) != me && !ends.first.is_null();
            if is_idle {
                self.runner.store(me, Ordering::Relaxed);
            }
            is_idle
        })
    }

    /// The first piece of work, which stays; None, and then the caller is not who takes any more.
    pub fn first(&self, me: u64) -> Option<T> {
        self.with(me, |ends| {
            // SAFETY: as in `push`.
            let first = unsafe { ends.first.as_ref() };
            if first.is_none() {
                self.runner.store(0, Ordering::Relaxed);
            }
            first.map(|node| node.value)
        })
    }

    /// The first piece of work is done with.
    pub fn pop(&self, me: u64) {
        let node = self.with(me, |ends| {
            let node = ends.first;
            // SAFETY: as in `push`.
            if let Some(first) = unsafe { node.as_ref() } {
                ends.first = first.next;
                let length = self.length.load(Ordering::Relaxed);
                self.length.store(length - 1, Ordering::Relaxed);
            }
            if ends.first.is_null() {
                ends.last = ptr::null_mut();
            }
            node
        });
        if !node.is_null() {
            // SAFETY: a box of `push`, off the list now.
            drop(unsafe { Box::from_raw(node) });
        }
    }

    /// The caller goes, and leaves the rest to others.
    pub fn end(&self, me: u64) {
        self.with(me, |_| self.runner.store(0, Ordering::Relaxed));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Backlog;

    #[test]
    fn in_order_and_one_at_a_time() {
        let backlog = Backlog::default();
        assert!(!backlog.begin(7));
        backlog.push(7, 1);
        backlog.push(7, 2);
        assert!(backlog.begin(7));
        assert!(!backlog.begin(7));
        assert_eq!(backlog.first(7), Some(1));
        backlog.pop(7);
        backlog.end(7);
        assert!(backlog.begin(7));
        backlog.pop(7);
        assert_eq!((backlog.first(7), backlog.is_empty()), (None, true));
        backlog.push(7, 3);
        assert!(backlog.begin(7));
    }

    #[test]
    fn a_child_takes_a_torn_list_for_empty() {
        let backlog = Backlog::default();
        backlog.push(7, 1);
        assert!(backlog.begin(7)); // and the thread that did so is not there any more
        backlog.latch.store(7, super::Ordering::Relaxed);
        backlog.push(8, 2);
        assert!(backlog.begin(8));
        assert_eq!(backlog.first(8), Some(2));
    }
}
