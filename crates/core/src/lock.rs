//! Lock words that death releases.
//!
//! `generation << 32 | slot + 1 << 16 | STARVING << 15 | cpu + 1 << 2 | RECOVERED | WAITERS`; 0 is free.
//!
//! | word                               | slot's state word        | meaning                    |
//! | ---------------------------------- | ------------------------ | -------------------------- |
//! | 0                                  | -                        | free                       |
//! | names nobody (STARVING, WAITERS)   | -                        | free, for those who slept  |
//! | generation of the slot, LIVE       | byte locked              | held                       |
//! | generation of the slot, LIVE       | byte not locked          | held by a dead one: reap it |
//! | another generation                 | any                      | free: take it over         |
//! | generation of the slot             | FREE, DRAINING           | no holder wrote it: free   |
//!
//! Whoever takes a past word over sets WAITERS, because the dead holder's sleepers still sleep,
//! and RECOVERED, which tells the holder that its predecessor died.
//!
//! Whoever comes first takes a free lock, and who sleeps comes late. So one who has waited for long
//! sets STARVING before it sleeps again. The next release leaves the lock free for those who slept
//! only, and wakes two of them. Newcomers stand aside for some milliseconds, and may take it then:
//! it may be that nobody starves any more. Who takes the lock takes the flag away. Others who starve
//! set it again, but only when they are awake: so the second is woken. If it were one alone, those who
//! take the lock again and again could hand it to each other, and who waits would be woken by the releases
//! between, after which anybody may take it.

use crate::error::{Result, corrupt};
use crate::layout::SLOTS;
use crate::os::{self, Woken};
use crate::participant::{self, LIVE, Me, State};
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::sync::{Ordering, relax};
use std::time::{Duration, Instant};

pub const WAITERS: u64 = 1;
pub const RECOVERED: u64 = 2;
/// In a word: somebody starves. In the flags of an attempt: who tries has slept.
pub const STARVING: u64 = 1 << 15;
const CPU_SHIFT: u32 = 2;
const CPU_MASK: u64 = 0x1FFF;
const SLOT_SHIFT: u32 = 16;
const GENERATION_SHIFT: u32 = 32;

/// How long a sleeper goes without asking whether the owner lives.
pub const PROBE: Duration = Duration::from_millis(100);
/// PAUSEs spent on a lock whose holder runs on another CPU (LIMITS.md, adaptive waiting).
/// Nobody yields: on the holder's own CPU each yield gives it another slice of some milliseconds, at
/// whose end it has the lock again; who sleeps is put before it when it releases.
const SPINS: u32 = if cfg!(loom) { 0 } else { 1000 };
/// A waiter that has slept, and has waited for so long in all, starves.
const STARVES: Duration = Duration::from_millis(4);
/// How long a newcomer stands aside from a lock that is kept for those who slept.
const ASIDE: Duration = Duration::from_millis(5);

#[inline]
fn word_of(me: Me) -> u64 {
    u64::from(me.generation) << GENERATION_SHIFT | (me.slot + 1) << SLOT_SHIFT
}

/// Whether two words name the same holder.
#[inline]
pub fn is_held_by(word: u64, me: Me) -> bool {
    word >> SLOT_SHIFT == word_of(me) >> SLOT_SHIFT
}

/// Whether a word names nobody.
#[inline(always)]
pub fn is_free(word: u64) -> bool {
    word >> SLOT_SHIFT == 0
}

/// How somebody has waited for a lock so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Waited {
    since: Option<Instant>,
    slept: bool,
}

impl Waited {
    /// The flags of its next attempt.
    pub fn flags(&self) -> u64 {
        match (self.since, self.slept) {
            (None, _) => 0,
            (_, false) => WAITERS,
            (_, true) => WAITERS | STARVING,
        }
    }

    /// One who has slept before its first attempt.
    #[cfg(loom)]
    pub fn long() -> Waited {
        Waited {
            since: Some(Instant::now()),
            slept: true,
        }
    }

    fn is_starving(&self) -> bool {
        // Time is nothing to a model: there whoever has slept starves.
        let long = |since: Instant| cfg!(loom) || since.elapsed() >= STARVES;
        self.slept && self.since.is_some_and(long)
    }
}

/// Who a word names, unless it is free.
pub fn owner(word: u64) -> Result<Option<Me>> {
    if is_free(word) {
        return Ok(None);
    }
    let slot = (word >> SLOT_SHIFT & 0xFFFF).wrapping_sub(1);
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
fn is_past(segment: &Segment, word: u64) -> Result<bool> {
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

/// One attempt. `flags` may hold those of `Waited`, if the caller stood at this word before, and a CPU.
///
/// # Errors
/// `Corrupt` if the word names no slot.
#[inline]
pub fn try_acquire(segment: &Segment, lock: u64, me: Me, flags: u64) -> Result<Tried> {
    let word = segment.word(lock);
    // Acquire pairs with `release`, Release. Release pairs with the Acquire of who finds our word
    // and then asks for our slot's state: it must not see the one before LIVE.
    let mine = word_of(me) | flags & !STARVING;
    match word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(Tried::Acquired),
        Err(seen) => take_over(segment, lock, me, flags, seen),
    }
}

#[cold]
fn take_over(segment: &Segment, lock: u64, me: Me, flags: u64, seen: u64) -> Result<Tried> {
    let word = segment.word(lock);
    if is_free(seen) {
        if flags & STARVING == 0 {
            return Ok(Tried::Held(seen)); // kept for those who slept
        }
        let mine = word_of(me) | flags & !STARVING | WAITERS;
        // As in `try_acquire`.
        return match word.compare_exchange(seen, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Tried::Acquired),
            Err(now) => Ok(Tried::Held(now)),
        };
    }
    if !is_past(segment, seen)? {
        return Ok(Tried::Held(seen));
    }
    let mine = word_of(me) | flags & !STARVING | WAITERS | RECOVERED;
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
/// After the first store the lock is free. A sleeper that is not woken looks again within a tenth of
/// a second, and newcomers stand aside for some milliseconds only.
#[inline]
pub fn release(segment: &Segment, lock: u64) {
    let word = segment.word(lock);
    let seen = if planted(Bug::ReleaseInTwo) {
        let seen = word.load(Ordering::Relaxed);
        word.store(0, Ordering::Release);
        seen
    } else {
        word.swap(0, Ordering::Release) // pairs with `try_acquire`, Acquire
    };
    if seen & (WAITERS | STARVING) != 0 {
        wake(segment, lock, seen & STARVING != 0);
    }
}

/// Wakes a sleeper; if somebody starves two, for which the lock is kept.
#[cold]
fn wake(segment: &Segment, lock: u64, starving: bool) {
    crate::crash_point!("lock.released");
    let (word, kept) = (segment.word(lock), STARVING | WAITERS);
    // Whoever came since the release has the lock. The release before it is what they acquire.
    let order = (Ordering::Release, Ordering::Relaxed);
    let is_kept = starving && word.compare_exchange(0, kept, order.0, order.1).is_ok();
    if is_kept && planted(Bug::KeptWithoutWake) {
        return;
    }
    let most = if is_kept { 2 } else { 1 };
    if segment.wake(lock, most) == 0 && is_kept {
        // For nobody: who starved has gone.
        let _ = word.compare_exchange(kept, 0, order.0, order.1);
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
pub enum Stood {
    /// Worth another attempt; nobody slept.
    Changed,
    /// As that, after a sleep.
    Woken,
    /// The holder is dead: run phase (a) of its recovery, then try again.
    Dead(Me),
    TimedOut,
    Interrupted,
}

impl Stood {
    /// Whether the waiter slept.
    pub fn slept(self) -> bool {
        matches!(self, Stood::Woken | Stood::TimedOut | Stood::Interrupted)
    }
}

impl From<Woken> for Stood {
    fn from(woken: Woken) -> Stood {
        match woken {
            Woken::Changed => Stood::Woken,
            Woken::TimedOut => Stood::TimedOut,
            Woken::Interrupted => Stood::Interrupted,
        }
    }
}

/// Waits, with nothing held, until the lock may be free; at most `limit`, which callers keep
/// to `PROBE` so that a dead owner is noticed.
///
/// # Errors
/// `Corrupt` if the word names no slot; `System` if the owner's life cannot be asked after.
pub fn stand(segment: &Segment, lock: u64, limit: Duration, waited: &mut Waited) -> Result<Stood> {
    let word = segment.word(lock);
    let here = cpu_flags();
    if waited.since.is_none() {
        waited.since = Some(Instant::now());
    }
    let mut seen = word.load(Ordering::Acquire); // pairs with `try_acquire`, as `is_past` needs
    if seen & CPU_MASK << CPU_SHIFT != here {
        for _ in 0..SPINS {
            if seen == 0 {
                return Ok(Stood::Changed);
            }
            relax();
            seen = word.load(Ordering::Acquire);
        }
    }
    let Some(holder) = owner(seen)? else {
        return Ok(stand_aside(segment, lock, seen, limit, waited));
    };
    if is_past(segment, seen)? {
        return Ok(Stood::Changed);
    }
    let alive = participant::is_alive(segment, holder.slot);
    if !alive.map_err(|e| participant::system("fcntl", segment, e))? {
        return Ok(Stood::Dead(holder));
    }
    let starving = if waited.is_starving() { STARVING } else { 0 };
    let flagged = seen | WAITERS | starving;
    if seen != flagged
        && word
            .compare_exchange(seen, flagged, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
    {
        return Ok(Stood::Changed);
    }
    waited.slept = true;
    Ok(segment.sleep(lock, flagged, limit).into())
}

/// Lets those go first who have slept, for a while, if the lock is kept for them.
fn stand_aside(
    segment: &Segment,
    lock: u64,
    seen: u64,
    limit: Duration,
    waited: &mut Waited,
) -> Stood {
    if seen == 0 || waited.slept {
        return Stood::Changed;
    }
    waited.slept = true; // from now on it may take the lock
    if cfg!(loom) {
        os::yield_now(); // some time may pass, or none
        return Stood::Woken;
    }
    let flagged = seen | WAITERS;
    let order = Ordering::Relaxed;
    if seen == flagged
        || (segment
            .word(lock)
            .compare_exchange(seen, flagged, order, order))
        .is_ok()
    {
        segment.sleep(lock, flagged, limit.min(ASIDE));
    }
    Stood::Woken
}
