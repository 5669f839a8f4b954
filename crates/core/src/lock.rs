//! Lock words that death releases.
//!
//! `generation << 32 | slot + 1 << 16 | cpu + 1 << 2 | RECOVERED | WAITERS`; 0 is free.
//!
//! | word                               | slot's state word        | meaning                    |
//! | ---------------------------------- | ------------------------ | -------------------------- |
//! | 0                                  | -                        | free                       |
//! | generation of the slot, LIVE       | byte locked              | held                       |
//! | generation of the slot, LIVE       | byte not locked          | held by a dead one: reap it |
//! | another generation                 | any                      | free: take it over         |
//! | generation of the slot             | FREE, DRAINING           | no holder wrote it: free   |
//!
//! Whoever takes a past word over sets WAITERS, because the dead holder's sleepers still sleep,
//! and RECOVERED, which tells the holder that its predecessor died.

use crate::error::{Result, corrupt};
use crate::layout::SLOTS;
use crate::os::{self, Woken};
use crate::participant::{self, LIVE, Me, State};
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::sync::{Ordering, relax};
use std::time::Duration;

pub const WAITERS: u64 = 1;
pub const RECOVERED: u64 = 2;
const CPU_SHIFT: u32 = 2;
const CPU_MASK: u64 = 0x3FFF;
const SLOT_SHIFT: u32 = 16;
const GENERATION_SHIFT: u32 = 32;

/// How long a sleeper goes without asking whether the owner lives.
pub const PROBE: Duration = Duration::from_millis(100);
/// PAUSEs spent on a lock whose holder runs on another CPU (LIMITS.md, adaptive waiting).
const SPINS: u32 = if cfg!(loom) { 0 } else { 1000 };
const YIELDS: u32 = if cfg!(loom) { 0 } else { 20 };

#[inline]
fn word_of(me: Me) -> u64 {
    u64::from(me.generation) << GENERATION_SHIFT | (me.slot + 1) << SLOT_SHIFT
}

/// Whether two words name the same holder.
#[inline]
pub fn is_held_by(word: u64, me: Me) -> bool {
    word >> SLOT_SHIFT == word_of(me) >> SLOT_SHIFT
}

/// Who a word names, unless it is free.
pub fn owner(word: u64) -> Result<Option<Me>> {
    if word == 0 {
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

/// One attempt. `flags` may hold WAITERS, if the caller slept on this word before, and a CPU.
///
/// # Errors
/// `Corrupt` if the word names no slot.
#[inline]
pub fn try_acquire(segment: &Segment, lock: u64, me: Me, flags: u64) -> Result<Tried> {
    let word = segment.word(lock);
    // Acquire pairs with `release`, Release. Release pairs with the Acquire of who finds our word
    // and then asks for our slot's state: it must not see the one before LIVE.
    match word.compare_exchange(0, word_of(me) | flags, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(Tried::Acquired),
        Err(seen) => take_over(segment, lock, me, flags, seen),
    }
}

#[cold]
fn take_over(segment: &Segment, lock: u64, me: Me, flags: u64, seen: u64) -> Result<Tried> {
    if seen == 0 || !is_past(segment, seen)? {
        return Ok(Tried::Held(seen));
    }
    let mine = word_of(me) | flags | WAITERS | RECOVERED;
    let word = segment.word(lock);
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
    if seen & WAITERS != 0 {
        crate::crash_point!("lock.released");
        segment.wake(lock, 1);
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
pub fn stand(segment: &Segment, lock: u64, limit: Duration) -> Result<Stood> {
    let word = segment.word(lock);
    let here = cpu_flags();
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
    for _ in 0..YIELDS {
        if seen == 0 {
            return Ok(Stood::Changed);
        }
        os::yield_now();
        seen = word.load(Ordering::Acquire);
    }
    let Some(holder) = owner(seen)? else {
        return Ok(Stood::Changed);
    };
    if is_past(segment, seen)? {
        return Ok(Stood::Changed);
    }
    let alive = participant::is_alive(segment, holder.slot);
    if !alive.map_err(|e| participant::system("fcntl", segment, e))? {
        return Ok(Stood::Dead(holder));
    }
    let flagged = seen | WAITERS;
    if seen != flagged
        && word
            .compare_exchange(seen, flagged, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
    {
        return Ok(Stood::Changed);
    }
    Ok(segment.sleep(lock, flagged, limit).into())
}
