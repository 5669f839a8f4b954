//! Lock words that death releases.
//!
//! ```text
//! held: generation << 32 | second << 27 | slot + 1 << 16 | TURN << 14 | first << 9 | cpu + 1 << 2 | RECOVERED | WAITERS
//! kept: stamp << 32      | second << 27                  | TURN << 14 | first << 9                            | WAITERS
//! ```
//!
//! | word                               | slot's state word        | meaning                    |
//! | ---------------------------------- | ------------------------ | -------------------------- |
//! | 0                                  | -                        | free                       |
//! | names nobody                       | -                        | kept for those who starve (`batch`) |
//! | generation of the slot, LIVE       | byte locked              | held                       |
//! | generation of the slot, LIVE       | byte not locked          | held by a dead one: reap it |
//! | another generation                 | any                      | free: take it over         |
//! | generation of the slot             | FREE, DRAINING           | no holder wrote it: free   |
//!
//! Whoever takes a past word over sets WAITERS, because the dead holder's sleepers still sleep,
//! and RECOVERED, which tells the holder that its predecessor died.

use super::asking::Asking;
use super::batch;
use super::batch::{Batch, MEMBERS, kept};
use super::word::{
    CPU_MASK, CPU_SHIFT, GENERATION_SHIFT, HOLDER, RECOVERED, SLOT_MASK, SLOT_SHIFT, WAITERS,
    is_free, word_of,
};
use crate::error::{Result, corrupt};
use crate::memory::layout::SLOTS;
use crate::memory::segment::Segment;
use crate::offset::LockWord;
use crate::os::{self, Woken};
use crate::process::participant::{self, LIVE, Me, State};
use crate::seed::{Bug, seeded};
use crate::sync::{Ordering, relax};
use std::time::{Duration, Instant};

/// The futex bit of sleepers that do not starve.
pub(super) const ORDINARY: u32 = 1;

/// PAUSEs spent on a lock whose holder runs on another CPU (LIMITS.md, adaptive waiting).
/// Nobody yields: on the holder's own CPU each yield gives it another slice of some milliseconds, at
/// whose end it has the lock again; who sleeps is put before it when it releases.
pub(super) const SPINS: u32 = if cfg!(loom) { 0 } else { 1000 };
/// A waiter that has slept, and has waited for so long in all, starves.
pub(super) const STARVES: Duration = Duration::from_millis(4);

/// How somebody has waited for a lock so far.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Waited {
    pub(super) since: Option<Instant>,
    pub(super) slept: bool,
    /// The last sleep ended by a wake, which is meant for somebody who takes the lock.
    pub(super) woken: bool,
    /// The batch that it has joined, and in which process.
    pub(super) joined: Option<(Batch, u32)>,
    pub(super) asking: Asking,
}

impl Waited {
    pub(super) fn batch(&self) -> Option<Batch> {
        self.joined.map(|(batch, _)| batch)
    }

    /// How long it is until it starves, if it has slept by then.
    pub(super) fn before_it_starves(&self) -> Duration {
        match self.since {
            Some(since) if !cfg!(loom) => STARVES.saturating_sub(since.elapsed()),
            _ => STARVES, // time is nothing to a model
        }
    }

    pub(super) fn is_starving(&self) -> bool {
        self.slept && (cfg!(loom) || self.before_it_starves().is_zero())
    }
}

/// A waiter for a lock. If it is dropped without the lock it is counted no more, and if it was woken for
/// it somebody else is woken instead.
pub struct Waiter<'a> {
    pub(super) segment: &'a Segment,
    pub(super) lock: LockWord,
    pub(super) waited: Waited,
}

impl<'a> Waiter<'a> {
    pub fn new(segment: &'a Segment, lock: LockWord) -> Waiter<'a> {
        Waiter {
            segment,
            lock,
            waited: Waited::default(),
        }
    }

    /// One who has slept before its first attempt.
    #[cfg(loom)]
    pub fn starving(segment: &'a Segment, lock: LockWord) -> Waiter<'a> {
        let mut waiter = Waiter::new(segment, lock);
        (waiter.waited.since, waiter.waited.slept) = (Some(Instant::now()), true);
        waiter
    }

    /// One that is counted in the first batch already and has just been woken: for tests.
    pub fn counted(segment: &'a Segment, lock: LockWord) -> Waiter<'a> {
        let mut waiter = Waiter::new(segment, lock);
        waiter.waited = Waited {
            since: Some(Instant::now()),
            slept: true,
            woken: true,
            joined: Some((Batch::First, os::process_id())),
            asking: Asking::default(),
        };
        waiter
    }

    pub fn lock(&self) -> LockWord {
        self.lock
    }

    /// The flags of its next attempt.
    #[inline]
    pub fn flags(&self) -> u64 {
        match self.waited.since {
            None => 0,
            Some(_) => WAITERS | self.waited.batch().map_or(0, Batch::member),
        }
    }

    /// Notes that it has the lock: it waits no more.
    pub fn acquired(&mut self) {
        self.leave_asking();
        self.waited = Waited::default();
    }

    /// If it was the one that asks, another shall.
    pub(super) fn leave_asking(&self) {
        if self.waited.asking.is_missed(self.segment) {
            self.segment.wake(self.lock.0, 1);
        }
    }

    /// How long it may sleep, so that a dead owner is noticed.
    pub fn limit(&self) -> Duration {
        self.waited.asking.limit()
    }

    /// Waits, with nothing held, until the lock may be free; at most `limit`, which callers keep
    /// to `PROBE` or to the waiter's own.
    ///
    /// # Errors
    /// `Corrupt` if the word names no slot; `System` if the owner's life cannot be asked after.
    pub fn wait(&mut self, limit: Duration) -> Result<WaitOutcome> {
        let (segment, lock, flags) = (self.segment, self.lock, self.flags());
        let waited = &mut self.waited;
        let word = segment.word(lock.0);
        let here = cpu_flags();
        if waited.since.is_none() {
            waited.since = Some(Instant::now());
        }
        let mut seen = word.load(Ordering::Acquire); // pairs with `try_acquire`, as `is_past` needs
        if seen & CPU_MASK << CPU_SHIFT != here {
            for _ in 0..SPINS {
                if is_free(seen) {
                    break;
                }
                relax();
                seen = word.load(Ordering::Acquire);
            }
        }
        let mut most = limit;
        match owner(seen)? {
            None if seen == 0 || batch::after(segment, seen, flags).is_some() => {
                return Ok(WaitOutcome::Changed);
            }
            None => most = most.min(batch::kept_for(segment, seen)),
            Some(_) if is_past(segment, seen)? => return Ok(WaitOutcome::Changed),
            Some(holder) if waited.asking.is_due => {
                let alive = participant::is_alive(segment, holder.slot);
                if !alive.map_err(|e| participant::system("fcntl", segment, e))? {
                    return Ok(WaitOutcome::Dead(holder));
                }
            }
            Some(_) => {}
        }
        let mut flagged = seen | WAITERS;
        // A batch that is empty was given up: whoever is left of it joins anew.
        waited.joined = waited.joined.filter(|(batch, _)| !batch.is_empty(seen));
        let mut joined = waited.joined;
        if !waited.is_starving() {
            most = most.min(waited.before_it_starves()); // to join in time, whether it is woken or not
        } else if joined.is_none() {
            let batch = Batch::joined(seen);
            flagged = batch.with_one(flagged);
            joined = Some((batch, os::process_id()));
        }
        let order = Ordering::Relaxed;
        if seen != flagged && word.compare_exchange(seen, flagged, order, order).is_err() {
            if seeded(Bug::JoinedAnyway) {
                waited.joined = joined;
            }
            return Ok(WaitOutcome::Changed);
        }
        (waited.joined, waited.slept) = (joined, true);
        let bit = waited.batch().map_or(ORDINARY, Batch::futex_bit);
        let woken = segment.sleep_as(lock.0, flagged, most, bit);
        waited.woken = woken == Woken::Changed;
        if woken != Woken::TimedOut {
            waited.asking.woken();
        } else if most == limit {
            waited.asking.slept_in_vain(segment, lock);
        }
        Ok(match woken.into() {
            WaitOutcome::TimedOut if most < limit => WaitOutcome::Woken,
            outcome => outcome,
        })
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        if self.waited.woken || self.waited.joined.is_some() {
            leave(self.segment, self.lock, &self.waited);
        }
        self.leave_asking();
    }
}

/// Who a word names, unless it is free.
pub fn owner(word: u64) -> Result<Option<Me>> {
    if is_free(word) {
        return Ok(None);
    }
    let slot = (word >> SLOT_SHIFT & SLOT_MASK).wrapping_sub(1);
    if slot >= SLOTS {
        return Err(corrupt(format!("a lock word names slot {slot}")));
    }
    Ok(Some(Me {
        slot,
        generation: (word >> GENERATION_SHIFT) as u32,
    }))
}

/// Whether a word other than 0 names a holder of a past generation, or none that ever lived.
/// The word was loaded with Acquire, so the state read is at least as new as its holder's LIVE.
pub(super) fn is_past(segment: &Segment, word: u64) -> Result<bool> {
    let Some(owner) = owner(word)? else {
        return Ok(true);
    };
    let now = State::read(segment, owner.slot);
    Ok(now.generation != owner.generation || now.state != LIVE)
}

/// What an attempt came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    Acquired,
    /// Acquired from a dead holder.
    Recovered,
    Held(u64),
}

/// One attempt. `flags` may hold those of a `Waiter`, if the caller waited for this word before, and a CPU.
///
/// # Errors
/// `Corrupt` if the word names no slot.
#[inline]
pub fn try_acquire(segment: &Segment, lock: LockWord, me: Me, flags: u64) -> Result<Tried> {
    let word = segment.word(lock.0);
    // Acquire pairs with `release`, Release. Release pairs with the Acquire of who finds our word
    // and then asks for our slot's state: it must not see the one before LIVE.
    let mine = word_of(me) | flags & !MEMBERS;
    match word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            batch::check(segment, 0, flags);
            Ok(Tried::Acquired)
        }
        Err(seen) => take_over(segment, lock, me, flags, seen),
    }
}

#[cold]
pub(super) fn take_over(
    segment: &Segment,
    lock: LockWord,
    me: Me,
    flags: u64,
    seen: u64,
) -> Result<Tried> {
    let word = segment.word(lock.0);
    let mine = word_of(me) | flags & !MEMBERS | WAITERS;
    if is_free(seen) {
        let Some(members) = batch::after(segment, seen, flags) else {
            return Ok(Tried::Held(seen));
        };
        // As in `try_acquire`.
        let order = (Ordering::AcqRel, Ordering::Acquire);
        return match word.compare_exchange(seen, mine | members, order.0, order.1) {
            Ok(_) => Ok(Tried::Acquired),
            Err(now) => Ok(Tried::Held(now)),
        };
    }
    if !is_past(segment, seen)? {
        return Ok(Tried::Held(seen));
    }
    let members = batch::after(segment, seen, flags).unwrap_or(0);
    let mine = mine | members | RECOVERED;
    // Acquire pairs with the reaper's stores before it advanced the generation (State::write)
    match word.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(Tried::Recovered),
        Err(now) => Ok(Tried::Held(now)),
    }
}

/// The flags of a holder that says where it runs, so that others spin only if that helps.
#[inline]
pub fn cpu_flags() -> u64 {
    (u64::from(os::current_cpu()).wrapping_add(1) & CPU_MASK) << CPU_SHIFT
}

/// Releases a lock held by the caller's process and wakes one sleeper.
///
/// # Crash
/// After the store the lock is free or kept. A sleeper that is not woken looks again within a tenth
/// of a second, and for so long a lock is kept for one that does not come.
#[inline]
pub fn release(segment: &Segment, lock: LockWord) {
    let word = segment.word(lock.0);
    let seen = word.load(Ordering::Relaxed);
    if seeded(Bug::ReleaseInTwo) {
        word.store(0, Ordering::Release);
        return wake(segment, lock, seen, 0);
    }
    // pairs with `try_acquire`, Acquire
    let order = (Ordering::Release, Ordering::Relaxed);
    if seen & (WAITERS | MEMBERS) != 0 || word.compare_exchange(seen, 0, order.0, order.1).is_err()
    {
        hand_over(segment, lock, seen);
    }
}

/// Releases a lock that somebody waits for.
#[cold]
pub(super) fn hand_over(segment: &Segment, lock: LockWord, held: u64) {
    let word = segment.word(lock.0);
    let mut seen = held;
    // Once it has another holder, or none, somebody else has released it.
    while seen & HOLDER == held & HOLDER && !is_free(seen) {
        let next = kept(seen);
        // pairs with `try_acquire` and `take_over`, Acquire
        match word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return wake(segment, lock, seen, next),
            Err(now) => seen = now,
        }
    }
}

/// Wakes one for whom the lock became free or is kept.
pub(super) fn wake(segment: &Segment, lock: LockWord, seen: u64, next: u64) {
    crate::memory::crash_point!("lock.released");
    if next == 0 {
        if seen & WAITERS != 0 {
            segment.wake(lock.0, 1);
        }
    } else if !seeded(Bug::KeptWithoutWake) {
        segment.wake_of(lock.0, 1, Batch::served(next).futex_bit());
    }
}

/// What a waiter does that goes without the lock.
///
/// # Crash
/// As `release`.
#[cold]
pub(super) fn leave(segment: &Segment, lock: LockWord, waited: &Waited) {
    if let Some((batch, process)) = waited.joined {
        if process != os::process_id() {
            return; // a forked child: it is its parent that waits
        }
        let word = segment.word(lock.0);
        let mut seen = word.load(Ordering::Relaxed);
        while !batch.is_empty(seen) {
            let next = batch.left(seen);
            match word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) if seeded(Bug::LeftAsleep) => return,
                Ok(_) if is_free(next) => return wake(segment, lock, seen, next),
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
    if waited.woken {
        segment.wake(lock.0, 1);
    }
}

/// Whether a word names a holder whose locks have not been freed.
///
/// # Errors
/// `Corrupt` if the word names no slot.
pub fn is_held(segment: &Segment, word: u64) -> Result<bool> {
    Ok(!is_past(segment, word)?)
}

/// What a waiter saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitOutcome {
    /// Worth another attempt; nobody slept.
    Changed,
    /// As that, after a sleep.
    Woken,
    /// The holder is dead: run phase (a) of its recovery, then try again.
    Dead(Me),
    TimedOut,
    Interrupted,
}

impl WaitOutcome {
    /// Whether the waiter slept.
    pub fn slept(self) -> bool {
        matches!(
            self,
            WaitOutcome::Woken | WaitOutcome::TimedOut | WaitOutcome::Interrupted
        )
    }
}

impl From<Woken> for WaitOutcome {
    fn from(woken: Woken) -> WaitOutcome {
        match woken {
            Woken::Changed => WaitOutcome::Woken,
            Woken::TimedOut => WaitOutcome::TimedOut,
            Woken::Interrupted => WaitOutcome::Interrupted,
        }
    }
}
