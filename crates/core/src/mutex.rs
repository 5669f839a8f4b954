//! The `Lock` that users see: a cell whose lock word is all there is.
//!
//! Waiters for *a change* of the lock (`wait_for`) are few: acquire and release look at the event
//! word's flags after the change and bump it only if somebody waits (store, then look).

use crate::cell;
use crate::error::Result;
use crate::lock::{self, Tried};
use crate::participant::Participant;
use crate::segment::Segment;
use crate::sync::{Ordering, fence};
use crate::wait;

/// Counts releases: half of the version.
const RELEASES: u64 = cell::DATA;

#[inline]
fn tell(segment: &Segment, mutex: u64) {
    if cfg!(not(target_arch = "x86_64")) {
        fence(Ordering::SeqCst); // change, then look; on x86 the RMW before is that fence
    }
    let event = segment.word(mutex + cell::EVENT);
    if event.load(Ordering::SeqCst) & (wait::SLEEPER | wait::BELL) != 0 {
        wait::notify(segment, mutex + cell::EVENT);
    }
}

/// One attempt to acquire. `flags` as for `lock::try_acquire`.
///
/// # Errors
/// `Corrupt`.
#[inline]
pub fn try_acquire(
    segment: &Segment,
    participant: &Participant,
    mutex: u64,
    flags: u64,
) -> Result<bool> {
    match lock::try_acquire(segment, mutex, participant.me, flags)? {
        Tried::Held(_) => Ok(false),
        _ => {
            tell(segment, mutex);
            Ok(true)
        }
    }
}

/// Releases, whoever holds it; false if it was free.
///
/// # Crash
/// After the swap the lock is free; a sleeper not woken looks again within a tenth of a second.
#[inline]
pub fn release(segment: &Segment, mutex: u64) -> bool {
    if segment.word(mutex).load(Ordering::Relaxed) == 0 {
        return false;
    }
    // The holder's own count: a release by another, beside it, may be counted as one.
    let releases = segment.word(mutex + RELEASES);
    releases.store(releases.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    lock::release(segment, mutex);
    tell(segment, mutex);
    true
}

pub fn is_locked(segment: &Segment, mutex: u64) -> Result<bool> {
    lock::is_held(segment, segment.word(mutex).load(Ordering::Acquire)) // pairs with acquiring
}

/// Whether the holder before this one died.
pub fn is_recovered(segment: &Segment, mutex: u64) -> bool {
    segment.word(mutex).load(Ordering::Relaxed) & lock::RECOVERED != 0
}

pub fn version(segment: &Segment, mutex: u64) -> u64 {
    let locked = segment.word(mutex).load(Ordering::Relaxed) != 0;
    segment.word(mutex + RELEASES).load(Ordering::Relaxed) * 2 + u64::from(locked)
}
