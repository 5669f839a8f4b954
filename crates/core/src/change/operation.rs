//! One attempt at an operation: the locks it holds, the record it writes, the wakes it queues.
//!
//! An operation is a closure that may be begun again: it takes locks, reads, writes its record,
//! commits. Whatever stops it before the commit (a held lock, an empty magazine) undoes nothing,
//! because nothing is done; `Caller::run` removes the cause with nothing held.

use crate::change::journal::Record;
use crate::change::lock::{self, Tried};
use crate::change::transfer::Transfer;
use crate::change::wait;
use crate::error::{Attempt, Stop};
use crate::memory::layout::{CLASSES, RESERVE, WORD, record};
use crate::memory::segment::Segment;
use crate::offset::{EventWord, LockWord};
use crate::process::participant::{Me, Participant};
use crate::seed::{Bug, seeded};
use crate::sync::{Ordering, compiler_fence, relax};

const LOCKS: usize = 12;

/// How many units of the reserve leases leave, whose items may go back into the space.
const AFTER_LEASES: u64 = RESERVE / 2;

/// What an operation takes memory for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Purpose {
    /// Something that is kept: it leaves the reserve.
    #[default]
    Store,
    /// The block of an item on a lease.
    Lease,
    /// To free memory, or to hold what is there: as much as there are processes, handles and calls.
    Release,
}

impl Purpose {
    /// How many free units it leaves.
    const fn leaves(self) -> u64 {
        match self {
            Purpose::Store => RESERVE,
            Purpose::Lease => AFTER_LEASES,
            Purpose::Release => 0,
        }
    }
}

/// PAUSEs spent on an internal lock before the operation is begun again. Its holder needs some
/// tens of nanoseconds, unless it was preempted or died.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };

pub struct Operation<'a> {
    pub segment: &'a Segment,
    pub participant: &'a Participant,
    record: Record<'a>,
    index: u64,
    base: u64,
    locks: [LockWord; LOCKS],
    held: usize,
    wakes: [EventWord; record::WAKE_WORDS as usize],
    queued: usize,
    /// Whether events change only if somebody waits.
    quiet: bool,
    /// The lock that the last attempt waited for, until it is taken.
    contended: LockWord,
    flags: u64,
    /// Units that became free in its records, and in those that were forgotten.
    freed: u64,
    purpose: Purpose,
    /// Whether no more memory can be had than is free now.
    is_scarce: bool,
}

impl<'a> Operation<'a> {
    /// Takes a thread record. `contended` is the lock that the last attempt waited for, or 0, and
    /// `flags` are those of that `Waiter`.
    pub fn begin(
        segment: &'a Segment,
        participant: &'a Participant,
        contended: LockWord,
        flags: u64,
    ) -> Self {
        let index = participant.take_record();
        let mut operation = Operation::on(segment, participant, index);
        (operation.contended, operation.flags) = (contended, flags);
        operation
    }

    /// As `begin`, if a thread record is free just now.
    pub fn try_begin(segment: &'a Segment, participant: &'a Participant) -> Option<Self> {
        let index = participant.try_take_record()?;
        Some(Operation::on(segment, participant, index))
    }

    /// As `try_begin`, under a lock that the caller has taken: it is released in any case.
    pub fn try_begin_under(
        segment: &'a Segment,
        participant: &'a Participant,
        lock: LockWord,
    ) -> Option<Self> {
        let Some(mut operation) = Operation::try_begin(segment, participant) else {
            lock::release(segment, lock);
            return None;
        };
        operation.locks[0] = lock;
        operation.held = 1;
        Some(operation)
    }

    fn on(segment: &'a Segment, participant: &'a Participant, index: u64) -> Operation<'a> {
        let base = participant.record(index);
        Operation {
            segment,
            participant,
            record: Record::new(segment, base),
            index,
            base,
            locks: [LockWord::default(); LOCKS],
            held: 0,
            wakes: [EventWord::default(); record::WAKE_WORDS as usize],
            queued: 0,
            quiet: false,
            contended: LockWord::default(),
            flags: 0,
            freed: 0,
            purpose: Purpose::Store,
            is_scarce: false,
        }
    }

    /// Says what it takes memory for: before it asks for any, in each attempt.
    pub fn takes_for(&mut self, purpose: Purpose) {
        self.purpose = purpose;
    }

    /// How many units it must leave free.
    pub fn leaves(&self) -> u64 {
        self.purpose.leaves()
    }

    /// Says that no more memory can be had than is free now: it makes do with smaller pieces.
    pub fn make_do(&mut self, is_scarce: bool) {
        self.is_scarce = is_scarce;
    }

    pub fn is_scarce(&self) -> bool {
        self.is_scarce
    }

    /// Notes that its record makes so many units free.
    pub fn freed(&mut self, units: u64) {
        self.freed += units;
    }

    /// How many units that were, at most.
    pub fn has_freed(&self) -> u64 {
        self.freed
    }

    /// Whether it did without the lock that the last attempt waited for.
    pub fn is_without_lock(&self) -> bool {
        self.contended != LockWord::default()
    }

    pub fn me(&self) -> Me {
        self.participant.me
    }

    /// Takes a lock for the rest of the operation: the first may be spun on, others are tried.
    /// One that this operation holds already it goes on holding.
    ///
    /// # Errors
    /// `Stop::Busy` if it is held.
    pub fn lock(&mut self, lock: LockWord) -> Attempt<Tried> {
        if self.locks[..self.held].contains(&lock) {
            return Ok(Tried::Acquired);
        }
        let is_contended = lock == self.contended;
        let flags = if is_contended { self.flags } else { 0 };
        let mut spins = if self.held == 0 { SPINS } else { 0 };
        loop {
            match lock::try_acquire(self.segment, lock, self.me(), flags)? {
                Tried::Held(_) if spins > 0 => {
                    spins -= 1;
                    relax();
                }
                Tried::Held(_) => return Err(Stop::Busy(lock)),
                tried => {
                    self.locks[self.held] = lock;
                    self.held += 1;
                    if is_contended {
                        self.contended = LockWord::default();
                    }
                    return Ok(tried);
                }
            }
        }
    }

    /// What a word will hold after the commit.
    pub fn read(&self, word: u64) -> u64 {
        self.record.read(word)
    }

    /// Sets a word at the commit; its lock is held.
    pub fn write(&mut self, word: u64, value: u64) {
        self.record.write(word, value);
    }

    pub fn sequence(&mut self, word: u64) {
        self.record.sequence(word);
    }

    /// As `write`, of a word that this operation neither reads before the commit nor writes by `write`
    /// after this: of two that set a word, the later counts.
    pub fn write_unread(&mut self, word: u64, value: u64) {
        self.record.push(word, value);
    }

    /// Entries that find no room in the record go to a block of ours with room for `pairs` more; so
    /// many of them are set by `write`.
    ///
    /// # Errors
    /// `NoMemory` to find so many.
    pub fn chain(&mut self, payload: u64, pairs: u64, written: u64) -> Attempt<()> {
        Ok(self.record.chain(payload, pairs, written)?)
    }

    pub fn copy(&mut self, transfer: Transfer) {
        self.record.copy(transfer);
    }

    /// Whoever waits on `event` is woken after the commit, by us or by who recovers us.
    pub fn queue_wake(&mut self, event: EventWord) {
        self.wakes[self.queued] = event;
        self.queued += 1;
    }

    /// As `queue_wake`, of an event that nobody counts: its word changes only if somebody waits. For
    /// objects whose writers would else share a line for nothing.
    pub fn queue_quiet_wake(&mut self, event: EventWord) {
        self.quiet = true;
        self.queue_wake(event);
    }

    /// Commits the record. The locks stay held until the operation ends, so that several
    /// records may follow each other under them.
    ///
    /// # Crash
    /// Before the commit: nothing happened. After it: everything did, the wakes included.
    pub fn commit(&mut self) {
        self.commit_by(|operation| {
            if seeded(Bug::UnlockBeforeClear) {
                operation.unlock();
            }
            if !operation.record.is_empty() {
                operation.record.commit();
            }
        });
    }

    /// A one-word change, which needs no record: the store itself commits.
    pub fn commit_with(&mut self, change: impl FnOnce()) {
        self.commit_by(|operation| {
            if seeded(Bug::WakeBeforeStore) {
                operation.wake();
            }
            change();
            compiler_fence(Ordering::SeqCst); // the change before unlock and wake
        });
    }

    /// Stores the queued wakes, then commits by `change`; `finish` unlocks and wakes.
    fn commit_by(&mut self, change: impl FnOnce(&mut Self)) {
        if !seeded(Bug::WakesAfterCommit) {
            self.store_wakes();
        }
        change(self);
        if seeded(Bug::WakesAfterCommit) {
            self.store_wakes();
        }
    }

    fn store_wakes(&self) {
        for (index, &event) in self.wakes[..self.queued].iter().enumerate() {
            let word = self.base + record::WAKES + index as u64 * WORD;
            self.segment.word(word).store(event.0, Ordering::Relaxed);
        }
        compiler_fence(Ordering::SeqCst); // wakes before commit
    }

    /// Forgets what was written and releases what is held: before another attempt.
    pub fn abandon(&mut self) {
        self.record.forget();
        self.queued = 0;
        self.unlock();
    }

    fn unlock(&mut self) {
        while self.held > 0 {
            self.held -= 1;
            lock::release(self.segment, self.locks[self.held]);
        }
    }

    /// Releases the locks, then wakes the waiters.
    fn finish(&mut self) {
        self.unlock();
        if self.queued == 0 {
            return;
        }
        crate::memory::crash_point!("operation.unlocked");
        self.wake();
    }

    #[inline(always)]
    fn wake(&mut self) {
        if seeded(Bug::WakesClearedBeforeWake) {
            self.clear_wakes();
        }
        for &event in &self.wakes[..self.queued] {
            if self.quiet {
                wait::notify_waiters(self.segment, event);
            } else {
                wait::notify(self.segment, event);
            }
        }
        crate::memory::crash_point!("operation.notified");
        self.clear_wakes();
        self.queued = 0;
    }

    #[inline(always)]
    fn clear_wakes(&self) {
        for index in 0..self.queued as u64 {
            let word = self.base + record::WAKES + index * WORD;
            self.segment.word(word).store(0, Ordering::Release);
        }
    }

    /// Whether the record has room for what gives a block back to the heap, twice as much, and more.
    pub fn is_short(&self) -> bool {
        self.record.entries() <= record::ENTRY_PAIRS / 2
    }

    /// Takes a free block of the class at the commit.
    ///
    /// # Errors
    /// `Stop::Refill` if the magazine is empty.
    pub fn take(&mut self, class: usize) -> Attempt<u64> {
        let (count, magazine) = self.stock(class);
        if count == 0 {
            return Err(Stop::Refill(class));
        }
        if seeded(Bug::MagazineLeftOut) {
            let word = self.segment.word(magazine);
            word.store(count - 1, Ordering::Relaxed);
        } else {
            self.write(magazine, count - 1);
        }
        Ok(self.read(magazine + count * WORD))
    }

    /// Puts a block of this class back at the commit.
    ///
    /// # Errors
    /// `Stop::Flush` if the magazine is full.
    pub fn give(&mut self, class: usize, block: u64) -> Attempt<()> {
        let (count, magazine) = self.stock(class);
        if count == record::MAGAZINE_ROOM {
            return Err(Stop::Flush(class));
        }
        self.write(magazine + (count + 1) * WORD, block);
        self.write(magazine, count + 1);
        Ok(())
    }

    /// How many blocks the magazine holds, and the word after which they are.
    pub fn stock(&self, class: usize) -> (u64, u64) {
        let magazine = magazine(self.base, class);
        (self.read(magazine).min(record::MAGAZINE_ROOM), magazine)
    }
}

impl Drop for Operation<'_> {
    /// Also after a panic: before the commit it never happened, after it only the wakes remain.
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        self.finish();
        self.participant.give_record(self.index);
    }
}

/// Where the magazine of a class is in a thread's record.
pub fn magazine(record: u64, class: usize) -> u64 {
    record + record::MAGAZINES + class as u64 * record::MAGAZINE_STRIDE
}

/// The class whose blocks hold `payload` bytes, or None for a large block.
pub fn class_for(payload: u64) -> Option<usize> {
    let need = payload.checked_add(crate::memory::layout::block::SMALL)?;
    let class = CLASSES.partition_point(|&size| size < need);
    (class < CLASSES.len()).then_some(class)
}
