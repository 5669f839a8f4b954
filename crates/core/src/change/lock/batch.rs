//! Waiters that starve at a lock: two batches, whose members the lock's word counts.
//!
//! The first to come takes a free lock, and a sleeper comes late. So a waiter that has waited for long
//! joins a batch. One of the two is served, the other is joined meanwhile. As long as either has members
//! no release leaves the lock free: it keeps it for the batch that is served, and wakes one sleeper of
//! it. Only a member of that batch may take a kept lock, and is no member then. When the last one has
//! taken it the other batch is served. So a thread that has had the lock comes after all that starved before:
//! while one starves, each of the others begins two turns at most.
//!
//! The word counts members, not sleepers: one that is awake just now is not passed over. A member that
//! dies is still counted. So a lock that has been kept for `KEPT_FOR` may be taken by anybody, and the
//! batch it was kept for counts as empty. Whoever of it lives sees that when it looks again, and joins
//! anew.

use super::word::{PROBE, WAITERS, is_free};
use crate::memory::segment::Segment;
use crate::os;
use crate::seed::{Bug, seeded};
use std::time::Duration;

/// One member of the first batch, of the second. In the flags of an attempt: one of them tries.
pub const FIRST: u64 = 1 << 9;
pub const SECOND: u64 = 1 << 27;
/// The most members that a batch counts; others wait with it uncounted.
const MOST: u64 = 31;
pub const MEMBERS: u64 = (FIRST | SECOND) * MOST;
/// Set: the second batch is served.
const TURN: u64 = 1 << 14;
/// In a kept word: since when, in milliseconds of the boot clock.
const STAMP_SHIFT: u32 = 32;

/// How long a lock is kept for a batch when nobody of it comes.
const KEPT_FOR: Duration = PROBE;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Batch {
    First,
    Second,
}

impl Batch {
    /// The one that is served.
    pub fn served(word: u64) -> Batch {
        if word & TURN == 0 {
            Batch::First
        } else {
            Batch::Second
        }
    }

    /// The one that is joined: not the one that is served, unless nobody starves.
    pub fn joined(word: u64) -> Batch {
        match Batch::served(word) {
            served if word & MEMBERS == 0 => served,
            Batch::First => Batch::Second,
            Batch::Second => Batch::First,
        }
    }

    /// One member of it.
    pub fn member(self) -> u64 {
        match self {
            Batch::First => FIRST,
            Batch::Second => SECOND,
        }
    }

    fn all(self) -> u64 {
        self.member() * MOST
    }

    pub fn is_empty(self, word: u64) -> bool {
        word & self.all() == 0
    }

    /// The word with one member more, if that can be counted.
    pub fn with_one(self, word: u64) -> u64 {
        if word & self.all() == self.all() {
            word
        } else {
            word + self.member()
        }
    }

    /// The word with one member less, if there is one.
    fn without_one(self, word: u64) -> u64 {
        if self.is_empty(word) {
            word
        } else {
            word - self.member()
        }
    }

    /// What the word of a lock becomes when a member goes that does without it.
    pub fn left(self, word: u64) -> u64 {
        let word = self.without_one(word);
        if is_free(word) && Batch::served(word).is_empty(word) {
            kept(word)
        } else {
            turned(word)
        }
    }

    /// What its sleepers are woken by; bit 0 is that of those who do not starve.
    pub fn futex_bit(self) -> u32 {
        match self {
            Batch::First => 2,
            Batch::Second => 4,
        }
    }
}

/// The word with the other batch served, if the one that is has no members left and the other has. So
/// whoever joins from then on does not join the batch that waited for its turn.
fn turned(word: u64) -> u64 {
    if word & MEMBERS != 0 && Batch::served(word).is_empty(word) && !seeded(Bug::TurnedLate) {
        word ^ TURN
    } else {
        word
    }
}

/// What a word becomes when nobody has the lock any more: 0, or kept from now on for who starves.
pub fn kept(word: u64) -> u64 {
    if word & MEMBERS == 0 {
        return 0;
    }
    now() << STAMP_SHIFT | turned(word) & (WAITERS | MEMBERS | TURN)
}

fn now() -> u64 {
    os::boot_clock().as_millis() as u64
}

/// For how long yet a word that names nobody keeps the lock for the batch that is served.
pub fn kept_for(segment: &Segment, word: u64) -> Duration {
    if Batch::served(word).is_empty(word) {
        return Duration::ZERO; // no release wrote it
    }
    #[cfg(loom)]
    if segment.has_fallen() {
        return Duration::ZERO; // in a model only those who died do not come
    }
    let _ = segment;
    let age = (now() as u32).wrapping_sub((word >> STAMP_SHIFT) as u32);
    KEPT_FOR.saturating_sub(Duration::from_millis(age.into()))
}

/// The members that a word counts after an attempt with these flags takes it. None: it may not, as the
/// lock is kept for others.
pub fn after(segment: &Segment, seen: u64, flags: u64) -> Option<u64> {
    let (served, mut members) = (Batch::served(seen), seen & (MEMBERS | TURN));
    if is_free(seen) && flags & served.member() == 0 && !seeded(Bug::KeptForAnybody) {
        if !kept_for(segment, seen).is_zero() {
            return None;
        }
        members &= !served.all(); // they did not come
    }
    check(segment, members, flags);
    for batch in [Batch::First, Batch::Second] {
        if flags & batch.member() != 0 {
            members = batch.without_one(members);
        }
    }
    Some(if seeded(Bug::BatchForgotten) {
        0
    } else {
        turned(members)
    })
}

/// In a model, fails who tries as a member of a batch that does not count it, unless somebody died.
#[inline(always)]
pub fn check(segment: &Segment, members: u64, flags: u64) {
    #[cfg(loom)]
    for batch in [Batch::First, Batch::Second] {
        let is_counted = flags & batch.member() == 0 || !batch.is_empty(members);
        assert!(
            is_counted || segment.has_fallen(),
            "a member that is not counted"
        );
    }
    let _ = (segment, members, flags);
}
