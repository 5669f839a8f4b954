//! The `Lock` and the `RLock` that users see: objects whose lock word is all there is, but for the
//! thread and the count of an `RLock` in the owner word.
//!
//! Waiters for *a change* of the lock (`wait_for`) are few: acquire and release look at the event
//! word's flags after the change and bump it only if somebody waits (store, then look).

use crate::change::lock::{self, Tried};
use crate::change::wait;
use crate::error::Result;
use crate::memory::segment::Segment;
use crate::object::kind::Kind;
use crate::object::{self, Entered, Writer};
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::sync::{Ordering, fence};

/// Counts releases: half of the version.
const RELEASES: u64 = object::DATA;

/// The `Lock`.
pub const LOCK: Kind = Kind {
    class: "Lock",
    version,
    readiness: |segment, mutex| {
        is_locked(segment, mutex)
            .ok()
            .map(|locked| (!locked).into())
    },
    ..Kind::PLAIN
};

/// The `RLock`.
pub const RLOCK: Kind = Kind {
    class: "RLock",
    ..LOCK
};

#[inline]
fn wake(segment: &Segment, mutex: Object) {
    if cfg!(not(target_arch = "x86_64")) {
        fence(Ordering::SeqCst); // change, then look; on x86 the RMW before is that fence
    }
    let event = mutex + object::EVENT;
    if segment.word(event.0).load(Ordering::SeqCst) & (wait::SLEEPER | wait::BELL) != 0 {
        wait::notify(segment, event);
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
    mutex: Object,
    flags: u64,
) -> Result<bool> {
    match lock::try_acquire(segment, mutex.lock(), participant.me, flags)? {
        Tried::Held(_) => Ok(false),
        _ => {
            wake(segment, mutex);
            Ok(true)
        }
    }
}

/// Releases, whoever holds it; false if it was free.
///
/// # Crash
/// After the swap the lock is free; a sleeper not woken looks again within a tenth of a second.
#[inline]
pub fn release(segment: &Segment, mutex: Object) -> bool {
    if lock::is_free(segment.word(mutex.0).load(Ordering::Relaxed)) {
        return false;
    }
    // The holder's own count: a release by another, beside it, may be counted as one.
    let releases = segment.word(mutex + RELEASES);
    releases.store(
        releases.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    lock::release(segment, mutex.lock());
    wake(segment, mutex);
    true
}

/// One attempt of an `RLock`'s `acquire`. `flags` as for `lock::try_acquire`.
///
/// # Errors
/// `Corrupt`.
#[inline]
pub fn enter(
    segment: &Segment,
    participant: &Participant,
    writer: Writer,
    flags: u64,
) -> Result<bool> {
    let entered = object::enter(segment, participant, writer, flags)? == Entered::Yes;
    if entered {
        wake(segment, writer.object);
    }
    Ok(entered)
}

/// One release of an `RLock`; false if this thread does not hold it.
///
/// # Crash
/// As `object::exit`.
#[inline]
pub fn exit(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    if !object::is_mine(segment, participant, writer) {
        return false;
    }
    let releases = segment.word(writer.object + RELEASES);
    releases.store(
        releases.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    object::exit(segment, participant, writer);
    wake(segment, writer.object);
    true
}

pub fn is_locked(segment: &Segment, mutex: Object) -> Result<bool> {
    lock::is_held(segment, segment.word(mutex.0).load(Ordering::Acquire)) // pairs with acquiring
}

/// Whether the holder before this one died.
pub fn is_recovered(segment: &Segment, mutex: Object) -> bool {
    segment.word(mutex.0).load(Ordering::Relaxed) & lock::RECOVERED != 0
}

pub fn version(segment: &Segment, mutex: Object) -> u64 {
    let locked = !lock::is_free(segment.word(mutex.0).load(Ordering::Relaxed));
    let releases = segment.word(mutex + RELEASES).load(Ordering::Relaxed);
    releases << 1 | u64::from(locked)
}
