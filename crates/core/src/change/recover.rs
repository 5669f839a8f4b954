//! Phase (a): what a dead participant had committed is done, what it had not is forgotten, the
//! wakes it had queued are given, and its locks become free.
//!
//! It takes no lock and builds no record, so it runs wherever a waiter is. Any of its steps
//! may be the last: the next reaper begins again, and doing a step twice changes nothing.

use crate::change::journal::Record;
use crate::change::wait;
use crate::error::Result;
use crate::memory::layout::{self, RESERVED_SLOT, WORD, record, slot};
use crate::memory::segment::Segment;
use crate::offset::EventWord;
use crate::process::participant::{DRAINING, FREE, LIVE, Me, Right, State, is_alive, system};
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;

/// Reaps the participant if it is dead. True: its locks are free now.
///
/// # Errors
/// `System` when no descriptor is to be had, or the file is gone.
///
/// # Crash
/// The kernel drops our right; the slot is LIVE until the last store, so the next one repeats.
pub fn reap(segment: &Segment, dead: Me) -> Result<bool> {
    let Some(_right) = Right::try_acquire(segment, dead.slot)? else {
        return Ok(false);
    };
    // Under the right, again: it may have been reaped, and the slot taken by another.
    if !seeded(Bug::ReapBlindly)
        && State::read(segment, dead.slot)
            != (State {
                state: LIVE,
                generation: dead.generation,
            })
    {
        return Ok(false);
    }
    if seeded(Bug::GenerationBeforeReplay) {
        advance(segment, dead);
    }
    for index in 0..slot::RECORD_COUNT {
        Record::replay(segment, layout::thread_record(dead.slot, index));
    }
    crate::memory::crash_point!("recover.replayed");
    for index in 0..slot::RECORD_COUNT {
        let wakes = layout::thread_record(dead.slot, index) + record::WAKES;
        for word in (0..record::WAKE_WORDS).map(|word| segment.word(wakes + word * WORD)) {
            let event = word.load(Ordering::Relaxed);
            if segment.check_range(event, WORD).is_ok() && !seeded(Bug::WakesNotRepeated) {
                wait::repeat(segment, EventWord(event));
            }
            word.store(0, Ordering::Relaxed);
        }
    }
    crate::memory::crash_point!("recover.repeated");
    advance(segment, dead);
    crate::memory::crash_point!("recover.advanced");
    Ok(true)
}

/// Ends a generation, and so frees its locks.
#[inline(always)]
fn advance(segment: &Segment, dead: Me) {
    // The reserved slot owns nothing, so it needs no draining.
    let next = if dead.slot == RESERVED_SLOT {
        FREE
    } else {
        DRAINING
    };
    State::write(segment, dead.slot, next, dead.generation.wrapping_add(1));
}

/// Looks at some of those who are registered, from a slot on and round about, and reaps the dead
/// among them; where to go on.
///
/// # Errors
/// As `reap`.
pub fn reap_some(segment: &Segment, from: u64, most: usize) -> Result<u64> {
    let slots = (from..from + layout::SLOTS).map(|slot| slot % layout::SLOTS);
    let is_live = |&slot: &u64| State::read(segment, slot).state == LIVE;
    let mut next = from;
    for slot in slots.filter(is_live).take(most) {
        next = (slot + 1) % layout::SLOTS;
        let generation = State::read(segment, slot).generation;
        if !is_alive(segment, slot).map_err(|e| system("fcntl", segment, e))? {
            reap(segment, Me { slot, generation })?;
        }
    }
    Ok(next)
}

/// Reaps every dead participant; true if there are slots to drain.
///
/// # Errors
/// As `reap`.
pub fn reap_all(segment: &Segment) -> Result<bool> {
    let mut draining = false;
    for slot in 0..layout::SLOTS {
        let state = State::read(segment, slot);
        if state.state == LIVE
            && !is_alive(segment, slot).map_err(|e| system("fcntl", segment, e))?
        {
            reap(
                segment,
                Me {
                    slot,
                    generation: state.generation,
                },
            )?;
        }
        draining |= State::read(segment, slot).state == DRAINING;
    }
    Ok(draining)
}
