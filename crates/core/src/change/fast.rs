//! The fast path of a change: taken when the object is open, its lock is free, the value small. Anything
//! else falls through to an `Operation`.
//!
//! Its record is set apart for one thread at a time, the GIL's holder, who neither spins nor waits nor
//! fetches blocks. It moves no block and no link, so it is not counted (see `progress`): a change that takes
//! or gives a small block goes on, under the same lock, as an operation with a record of its own.

use crate::change::lock::{self, Tried};
use crate::change::{journal, wait};
use crate::memory::layout;
use crate::memory::segment::Segment;
use crate::offset::{EventWord, LockWord};
use crate::process::participant::Participant;
use crate::sync::{Ordering, compiler_fence};
use layout::{WORD, record};

/// A record being written under one lock. Dropped uncommitted, it releases the lock and nothing
/// has happened.
pub struct FastOperation<'a> {
    segment: &'a Segment,
    base: u64,
    lock: LockWord,
    entries: u64,
    /// Whether the lock was a dead one's.
    pub recovered: bool,
}

impl<'a> FastOperation<'a> {
    /// Takes the lock; None if it is held, or we were forked inside the call: then an `Operation` is due.
    ///
    /// # Safety
    /// No other thread of this process has one of the same participant meanwhile.
    #[inline(always)]
    pub unsafe fn begin(
        segment: &'a Segment,
        participant: &Participant,
        lock: LockWord,
    ) -> Option<FastOperation<'a>> {
        if !participant.is_ours() {
            return None; // code of the user's ran since we were asked who we are, and forked
        }
        // A dead one's lock, taken over here, stays marked as recovered: nothing is lost.
        let recovered = match lock::try_acquire(segment, lock, participant.me, 0) {
            Ok(Tried::Acquired) => false,
            Ok(Tried::Recovered) => true,
            _ => return None,
        };
        Some(FastOperation {
            segment,
            base: participant.record(0),
            lock,
            entries: 0,
            recovered,
        })
    }

    #[inline(always)]
    pub fn read(&self, word: u64) -> u64 {
        self.segment.word(word).load(Ordering::Relaxed)
    }

    /// Sets a word at the commit: one that the lock guards or that is our own, and each only once.
    #[inline(always)]
    pub fn write(&mut self, word: u64, value: u64) {
        assert!(self.entries < record::ENTRY_PAIRS);
        debug_assert!(
            word >= layout::BITMAPS || layout::is_holding(word),
            "a word of a magazine, or of blocks in hand"
        );
        let entry = self.base + record::ENTRIES + self.entries * 2 * WORD;
        self.segment.word(entry).store(word, Ordering::Relaxed);
        let new = self.segment.word(entry + WORD);
        new.store(value, Ordering::Relaxed);
        self.entries += 1;
    }

    /// Whether there is room for so many bytes, and a word more.
    #[inline(always)]
    pub fn has_room(&self, bytes: u64) -> bool {
        bytes.div_ceil(WORD) < record::ENTRY_PAIRS - self.entries
    }

    /// As `write`, of the words that consist of these bytes; the rest of the last one becomes zero.
    ///
    /// # Panics
    /// Where `has_room` says no.
    #[inline(always)]
    pub fn write_bytes(&mut self, word: u64, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let last = (!rest.is_empty()).then_some(&last);
        for (bytes, index) in words.iter().chain(last).zip(0..) {
            self.write(word + index * WORD, u64::from_ne_bytes(*bytes));
        }
    }

    /// Commits, applies, unlocks, and wakes those who wait on `event`.
    ///
    /// # Crash
    /// As `Operation::commit`: before it nothing happened, after it everything, the wake included.
    #[inline(always)]
    pub fn commit(self, event: EventWord) {
        self.end(None, event, wait::notify);
    }

    /// As `commit`, under a sequence that readers watch; `event` changes only if somebody waits.
    ///
    /// # Crash
    /// As `commit`.
    #[inline(always)]
    pub fn commit_under(self, sequence: u64, event: EventWord) {
        self.end(Some(sequence), event, wait::notify_waiters);
    }

    /// Ends with nothing written, and leaves the lock held: `Operation::try_begin_under` is due.
    #[inline(always)]
    pub fn keep_lock(self) {
        debug_assert_eq!(self.entries, 0, "entries of record 0 would be left out");
        std::mem::forget(self);
    }

    #[inline(always)]
    fn end(self, sequence: Option<u64>, event: EventWord, wake: impl FnOnce(&Segment, EventWord)) {
        let (segment, base, lock) = (self.segment, self.base, self.lock);
        queue_wake(segment, base, event);
        journal::commit(segment, base, self.entries, sequence);
        std::mem::forget(self);
        finish(segment, base, Some(lock), event, wake);
    }
}

/// Stores, before a change on the fast path commits, the wake that follows it; `base` is the record of
/// its thread.
#[inline(always)]
pub fn queue_wake(segment: &Segment, base: u64, event: EventWord) {
    let queued = segment.word(base + record::WAKES);
    queued.store(event.0, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst); // the wake before the commit
}

/// What follows that commit: unlocks, and wakes those who wait on `event`.
#[inline(always)]
pub fn finish(
    segment: &Segment,
    base: u64,
    lock: Option<LockWord>,
    event: EventWord,
    wake: impl FnOnce(&Segment, EventWord),
) {
    compiler_fence(Ordering::SeqCst); // the commit before unlock and wake
    if let Some(lock) = lock {
        lock::release(segment, lock);
    }
    wake(segment, event);
    let queued = segment.word(base + record::WAKES);
    queued.store(0, Ordering::Release);
}

impl Drop for FastOperation<'_> {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        lock::release(self.segment, self.lock);
    }
}
