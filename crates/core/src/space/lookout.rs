//! Who looks after the dead while many wait: one of them at a time.
//!
//! What somebody waits for may be what only the recovery of a dead process gives: a lease that it
//! held, a wake that it had queued. To find the dead is to ask the kernel after each of the living, so if
//! all who wait did that, the calls would grow with the square of their number. They take turns
//! instead. `superblock::TURN` says when the last turn began and where the next one goes on:
//! `boot clock in milliseconds << 16 | slot`.
//!
//! | a waiter has slept in vain, and finds that         | then it                               |
//! | -------------------------------------------------- | ------------------------------------- |
//! | a turn began since                                 | sleeps longer: somebody else looks    |
//! | none did                                           | takes one by a CAS, asks after some of the living from that slot on, and sleeps as before |
//!
//! So one waiter goes on looking, and the others wake up seldom. A turn has no owner. Whoever took
//! it may die or be stopped: the time passes, and the next waiter that wakes up takes another one.
//! What the dead one did not look at comes again with the next round.

use crate::change::lock::{PROBE, longer, since, turn};
use crate::change::recover;
use crate::error::Result;
use crate::memory::layout::{SLOTS, superblock};
use crate::memory::segment::Segment;
use crate::process::participant::{DRAINING, LIVE, Me, State, is_alive, system};
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;
use std::time::Duration;

/// After how many processes is asked in the time of a `PROBE`.
const LOOKS: u64 = 32;

/// One waiter's part in it.
pub struct Lookout {
    /// How long it sleeps between two turns.
    every: Duration,
    limit: Duration,
}

impl Lookout {
    pub fn new(every: Duration) -> Lookout {
        Lookout {
            every,
            limit: PROBE,
        }
    }

    /// How long it may sleep before it looks.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// It was woken, and still waits.
    pub fn woken(&mut self) {
        self.limit = PROBE;
    }

    /// It has slept in vain until `now`, on the boot clock. True: there are slots to drain.
    ///
    /// # Errors
    /// As `recover::reap`.
    ///
    /// # Crash
    /// What this turn would have looked at comes again with the next round.
    pub fn look(&mut self, segment: &Segment, now: Duration) -> Result<bool> {
        let word = segment.word(superblock::TURN);
        let seen = word.load(Ordering::Relaxed);
        let since = since(seen, now);
        let taken = since < self.limit.min(self.every) || seen != 0 && seeded(Bug::TurnKept);
        if taken {
            self.leave(segment, now);
            return Ok(false);
        }
        let from = (seen & 0xFFFF) % SLOTS;
        let round = (from..from + SLOTS).map(|slot| slot % SLOTS);
        let living = round.filter(|&slot| State::read(segment, slot).state == LIVE);
        let some: Vec<u64> = living.take(looks(since)).collect();
        let next = some.last().map_or(from, |last| (last + 1) % SLOTS);
        let order = Ordering::Relaxed; // nothing else is told by it
        let mine = turn(now, next);
        if word.compare_exchange(seen, mine, order, order).is_err() {
            self.leave(segment, now);
            return Ok(false);
        }
        crate::memory::crash_point!("lookout.taken");
        self.limit = self.every;
        for slot in some {
            let generation = State::read(segment, slot).generation;
            if !is_alive(segment, slot).map_err(|e| system("fcntl", segment, e))? {
                recover::reap(segment, Me { slot, generation })?;
            }
        }
        Ok((0..SLOTS).any(|slot| State::read(segment, slot).state == DRAINING))
    }

    /// Leaves it to others.
    fn leave(&mut self, segment: &Segment, now: Duration) {
        self.limit = longer(segment, self.limit, self.every, now);
    }
}

/// Whether nobody has looked for a while: then a call that does not wait may.
pub fn is_due(segment: &Segment, now: Duration) -> bool {
    let seen = segment.word(superblock::TURN).load(Ordering::Relaxed);
    since(seen, now) >= PROBE
}

/// How many to ask after when nobody has for so long.
fn looks(since: Duration) -> usize {
    let probes = since.as_millis() / PROBE.as_millis();
    let looks = probes.max(1).saturating_mul(u128::from(LOOKS));
    looks.try_into().unwrap_or(usize::MAX)
}
