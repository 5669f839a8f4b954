//! What this process holds in a space: which row of its membership table names which object.
//!
//! A private copy, for handing out rows and for forks. It has no latch: a child may be forked, by
//! whatever code, while other threads are anywhere in it. Each thread's stores come over in their
//! order, so the child reads it as it is: a row names an object only once its serial is stored,
//! and what a thread that does not exist there had reserved stays taken.
//!
//! Rows lie in parts that stay where they are, as the rows of the shared table do: see `rows`.

use crate::sync::{AtomicPtr, AtomicU64, Ordering};
use std::ptr;

/// An object, exactly: a row of the directory and the serial it had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ObjectId {
    pub row: u64,
    pub serial: u64,
}

const PARTS: usize = 24;
/// Rows of the first part, and of each word of bits.
const FIRST: u64 = if cfg!(loom) { 2 } else { 64 };

/// The part of a row, and its place there.
fn place(row: u64) -> (usize, usize) {
    let part = (row / FIRST + 1).ilog2();
    let start = ((1 << part) - 1) * FIRST;
    (part as usize, (row - start) as usize)
}

#[derive(Default)]
struct Row {
    /// The object's row + 1; 0: none.
    id: AtomicU64,
    serial: AtomicU64,
}

struct Part {
    /// Which rows are reserved or hold something, a bit each.
    taken: Box<[AtomicU64]>,
    rows: Box<[Row]>,
}

impl Part {
    fn new(part: usize) -> Part {
        let words = 1 << part;
        Part {
            taken: (0..words).map(|_| AtomicU64::default()).collect(),
            rows: (0..words * FIRST).map(|_| Row::default()).collect(),
        }
    }
}

pub struct MembershipCache {
    parts: [AtomicPtr<Part>; PARTS],
    /// Where to look for a free row first, in words of 64 rows; and how many words have been used.
    hint: AtomicU64,
    top: AtomicU64,
    changes: AtomicU64,
}

impl Default for MembershipCache {
    fn default() -> MembershipCache {
        MembershipCache {
            parts: std::array::from_fn(|_| AtomicPtr::default()),
            hint: AtomicU64::default(),
            top: AtomicU64::default(),
            changes: AtomicU64::default(),
        }
    }
}

impl MembershipCache {
    fn part(&self, part: usize) -> Option<&Part> {
        let part = self.parts.get(part)?.load(Ordering::Acquire); // pairs with `made`
        // SAFETY: a leaked box, or null; freed with the membership cache only.
        unsafe { part.as_ref() }
    }

    /// The part, made if it is not there yet.
    fn made(&self, part: usize) -> &Part {
        if let Some(there) = self.part(part) {
            return there;
        }
        let new = Box::into_raw(Box::new(Part::new(part)));
        let (none, order) = (ptr::null_mut(), Ordering::AcqRel);
        match self.parts[part].compare_exchange(none, new, order, Ordering::Acquire) {
            // SAFETY: just leaked, and freed with the membership cache only.
            Ok(_) => unsafe { &*new },
            Err(there) => {
                // SAFETY: nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: a leaked box, freed with the membership cache only.
                unsafe { &*there }
            }
        }
    }

    fn row(&self, row: u64) -> Option<&Row> {
        let (part, index) = place(row);
        self.part(part).map(|part| &part.rows[index])
    }

    /// Takes a free row among the 64 of a word.
    fn take(&self, word: u64) -> Option<u64> {
        let (part, index) = place(word * FIRST);
        let taken = &self.made(part).taken[index / FIRST as usize];
        let mut seen = taken.load(Ordering::Relaxed);
        loop {
            let free = u64::from(seen.trailing_ones());
            if free >= FIRST {
                return None;
            }
            let order = Ordering::Acquire; // pairs with `release`, Release
            match taken.compare_exchange(seen, seen | 1 << free, order, Ordering::Relaxed) {
                Ok(_) => return Some(word * FIRST + free),
                Err(now) => seen = now,
            }
        }
    }

    /// A row for a membership about to be recorded.
    pub fn reserve(&self) -> u64 {
        let top = self.top.load(Ordering::Relaxed);
        let start = self.hint.load(Ordering::Relaxed).min(top);
        // What the hint passed over while others gave rows back is looked for before more is used.
        for word in (start..top).chain(0..start).chain(top..) {
            if let Some(row) = self.take(word) {
                self.hint.store(word, Ordering::Relaxed);
                self.top.fetch_max(word + 1, Ordering::Relaxed);
                return row;
            }
        }
        unreachable!("a row of 2^30")
    }

    /// The membership in this row is recorded.
    pub fn hold(&self, row: u64, id: ObjectId) {
        let at = self.row(row).expect("a row that was reserved");
        at.serial.store(id.serial, Ordering::Relaxed);
        at.id.store(id.row + 1, Ordering::Release); // pairs with `held`: the serial first
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The membership in this row is gone, or never came to be.
    pub fn forget(&self, row: u64) {
        self.retire(row);
        self.release(row);
    }

    /// The membership in this row is to be given back, but is there yet: nobody holds by it, and
    /// nobody else may use the row.
    pub fn retire(&self, row: u64) {
        if let Some(at) = self.row(row) {
            at.id.store(0, Ordering::Release);
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// The membership in a retired row is gone.
    pub fn release(&self, row: u64) {
        let (part, index) = place(row);
        if let Some(part) = self.part(part) {
            let (word, bit) = (index / FIRST as usize, index as u64 % FIRST);
            part.taken[word].fetch_and(!(1 << bit), Ordering::Release);
            self.hint.fetch_min(row / FIRST, Ordering::Relaxed);
        }
    }

    fn held(&self, row: u64) -> Option<ObjectId> {
        let at = self.row(row)?;
        let id = at.id.load(Ordering::Acquire); // pairs with `hold`: then the serial
        let serial = at.serial.load(Ordering::Relaxed);
        let row = id.checked_sub(1)?;
        Some(ObjectId { row, serial })
    }

    /// Whether this row holds that object.
    pub fn holds(&self, row: u64, id: ObjectId) -> bool {
        self.held(row) == Some(id)
    }

    /// All rows that hold something. What another thread changes meanwhile may be left out, or be of
    /// an object that there never was; `changes` tells.
    pub fn all(&self) -> Vec<(u64, ObjectId)> {
        let rows = 0..self.top.load(Ordering::Acquire) * FIRST;
        rows.filter_map(|row| self.held(row).map(|id| (row, id)))
            .collect()
    }

    /// Changes with every membership taken or given back.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

impl Drop for MembershipCache {
    fn drop(&mut self) {
        if cfg!(loom) && std::thread::panicking() {
            return; // a model that failed is over, its atomics too
        }
        for part in &self.parts {
            let part = part.load(Ordering::Acquire);
            if !part.is_null() {
                // SAFETY: a leaked box of `made`, which nobody reads any more.
                drop(unsafe { Box::from_raw(part) });
            }
        }
    }
}
