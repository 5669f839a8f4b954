//! Of many waiters for a lock, one at a time asks whether its holder lives.
//!
//! A waiter looks at the lock again after a `PROBE`: its holder may have died, or the thread that
//! released it may have died before the wake. A thousand waiters that do that ten times a second keep a
//! CPU busy. They take turns instead. A word of `superblock::ASKED`, chosen by the lock, says which lock was looked at last,
//! and when: `boot clock in milliseconds << 16 | mark of the lock`.
//!
//! | a waiter has slept in vain, and finds that | then it                                       |
//! | ------------------------------------------ | --------------------------------------------- |
//! | another has looked since                   | sleeps longer, and does not ask                |
//! | none has, or it was for another lock       | stores the time, asks, and sleeps as before    |
//!
//! A turn has no owner. The waiter that has taken the last one wakes another when it gets the lock or
//! gives up. If it dies, the next that wakes up takes a turn. Two locks that share a word cost turns,
//! and no more.

use super::word::PROBE;
use crate::memory::layout::{SLOTS, WORD, superblock};
use crate::memory::segment::Segment;
use crate::offset::LockWord;
use crate::os;
use crate::process::participant::{LIVE, State};
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;
use std::time::Duration;

/// For each of so many processes, waiters that leave the looking to others sleep a `PROBE` longer ...
const CROWD: u32 = 8;
/// ... but never longer than this.
const LONGEST: Duration = Duration::from_secs(8);
/// Processes are counted by a part of their slots, which are taken from the first on.
const SAMPLE: usize = 8;

const CLOCK_SHIFT: u32 = 16;

/// One waiter's part in it.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    limit: Duration,
    /// Whether it asks before it sleeps again.
    pub is_due: bool,
    has_turn: bool,
}

impl Default for Asking {
    fn default() -> Asking {
        Asking {
            limit: PROBE,
            is_due: true,
            has_turn: false,
        }
    }
}

impl Asking {
    /// How long it may sleep.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Notes that it has slept in vain.
    pub fn slept_in_vain(&mut self, segment: &Segment, lock: LockWord) {
        if cfg!(loom) {
            return; // time is nothing to a model: there everybody asks
        }
        let now = os::boot_clock();
        let (word, mark) = place(lock);
        let word = segment.word(word);
        let seen = word.load(Ordering::Relaxed);
        let is_recent = since(seen, now) < PROBE;
        let is_asked = seen & 0xFFFF == mark && is_recent || seeded(Bug::AskedForGood);
        let mine = turn(now, mark);
        let order = Ordering::Relaxed; // nothing else is told by it
        self.has_turn = !is_asked && word.compare_exchange(seen, mine, order, order).is_ok();
        self.is_due = self.has_turn;
        self.limit = if self.has_turn {
            PROBE
        } else {
            longer(segment, self.limit, PROBE, now)
        };
    }

    /// Notes that it was woken.
    pub fn woken(&mut self) {
        (self.limit, self.is_due) = (PROBE, true);
    }

    /// Whether it has the last turn, and others may sleep for long because of that.
    pub fn is_missed(&self, segment: &Segment) -> bool {
        self.has_turn && longest(segment) > PROBE
    }
}

/// The word of a turn that begins now: the boot clock in milliseconds, and 16 bits of the taker's.
pub fn turn(now: Duration, bits: u64) -> u64 {
    (now.as_millis() as u64) << CLOCK_SHIFT | bits
}

/// How long ago a turn began. One that is still to come is of another boot of the machine, or nonsense.
pub fn since(turn: u64, now: Duration) -> Duration {
    let clock = now.as_millis() as u64 & u64::MAX >> CLOCK_SHIFT;
    let since = clock.checked_sub(turn >> CLOCK_SHIFT);
    since.map_or(Duration::MAX, Duration::from_millis)
}

/// The word for a lock, and the lock's mark.
fn place(lock: LockWord) -> (u64, u64) {
    let mixed = (lock.0 / WORD).wrapping_mul(0x9E37_79B9_7F4A_7C15); // Fibonacci hashing
    let word = (mixed >> 32) % superblock::ASKED_WORDS;
    (superblock::ASKED + word * WORD, mixed >> 48)
}

/// How long a waiter sleeps that leaves the looking to others, after it has slept for `limit` in vain:
/// at most so long that a crowd of any size wakes up about a hundred times a second.
pub fn longer(segment: &Segment, limit: Duration, least: Duration, now: Duration) -> Duration {
    let most = longest(segment).max(least);
    // Waiters that began at one moment shall not all look at one moment.
    let scattered = 0.75 + f64::from(now.subsec_micros() % 1000) / 2000.0;
    (limit * 2).min(most).mul_f64(scattered).max(PROBE)
}

fn longest(segment: &Segment) -> Duration {
    let sample = (0..SLOTS).step_by(SAMPLE);
    let living = sample.filter(|&slot| State::read(segment, slot).state == LIVE);
    (PROBE * (living.count() * SAMPLE) as u32 / CROWD).min(LONGEST)
}
