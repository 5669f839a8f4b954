//! What this process holds in a space: which row of its membership table names which object.
//!
//! A private copy, for handing out rows and for forks. Its latch is held for a few instructions
//! and never while anything waits. A child forked from C while another thread held it finds it
//! torn, and starts with an empty one: its inherited handles then raise NotFound.

use crate::os;
use crate::sync::{AtomicBool, Ordering};
use std::cell::UnsafeCell;

/// An object, exactly: a row of the directory and the serial it had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ObjectId {
    pub row: u64,
    pub serial: u64,
}

#[derive(Default)]
struct Rows {
    held: Vec<Option<ObjectId>>,
    free: Vec<u64>,
    changes: u64,
}

#[derive(Default)]
pub struct Roster {
    latch: AtomicBool,
    rows: UnsafeCell<Rows>,
}

// SAFETY: `rows` is only reached with the latch held.
unsafe impl Send for Roster {}
// SAFETY: as above.
unsafe impl Sync for Roster {}

impl Roster {
    fn with<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> T {
        while self.latch.swap(true, Ordering::Acquire) {
            os::yield_now();
        }
        // SAFETY: the latch is held, and `work` comes from below, where nothing re-enters.
        let result = work(unsafe { &mut *self.rows.get() });
        self.latch.store(false, Ordering::Release);
        result
    }

    /// A row for a membership about to be recorded.
    pub fn reserve(&self) -> u64 {
        self.with(|rows| {
            rows.free.pop().unwrap_or_else(|| {
                rows.held.push(None);
                rows.held.len() as u64 - 1
            })
        })
    }

    /// The membership in this row is recorded.
    pub fn hold(&self, row: u64, object: ObjectId) {
        self.with(|rows| {
            rows.held[row as usize] = Some(object);
            rows.changes += 1;
        });
    }

    /// The membership in this row is gone, or never came to be.
    pub fn forget(&self, row: u64) {
        self.with(|rows| {
            rows.held[row as usize] = None;
            rows.free.push(row);
            rows.changes += 1;
        });
    }

    /// Whether this row holds that object.
    pub fn holds(&self, row: u64, object: ObjectId) -> bool {
        self.with(|rows| rows.held.get(row as usize) == Some(&Some(object)))
    }

    /// All rows that hold something.
    pub fn all(&self) -> Vec<(u64, ObjectId)> {
        self.with(|rows| {
            let held = rows.held.iter().enumerate();
            held.filter_map(|(row, object)| object.map(|object| (row as u64, object)))
                .collect()
        })
    }

    /// Changes with every membership taken or given back.
    pub fn changes(&self) -> u64 {
        self.with(|rows| rows.changes)
    }

    /// Leaves it as a fork behind our back may find it: another thread inside.
    #[cfg(any(test, feature = "crash-points"))]
    pub fn tear(&self) {
        self.latch.store(true, Ordering::Release);
    }

    /// In a child forked behind our back: false if another thread was inside at that moment;
    /// what the roster said is then lost.
    pub fn survive_fork(&self) -> bool {
        let torn = self.latch.swap(true, Ordering::Acquire);
        if torn {
            // SAFETY: this child has one thread; the torn contents are leaked, not read.
            std::mem::forget(unsafe { std::ptr::replace(self.rows.get(), Rows::default()) });
        }
        self.latch.store(false, Ordering::Release);
        !torn
    }
}
