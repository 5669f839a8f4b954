//! `get_lock()`: the object's lock in its user's hands, recursive, by thread.

use super::head::{COUNT, OWNER, RECOVERED, Writer, is_mine};
use crate::change::lock::{self, Tried};
use crate::error::{Result, corrupt};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;

/// How an attempt to take the object's lock for its user went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entered {
    Yes,
    No,
}

/// One attempt of `get_lock().acquire()`: recursive, by thread.
///
/// # Errors
/// `Corrupt`.
///
/// # Crash
/// The lock word alone decides; the owner word is reset by whoever takes over.
pub fn enter(
    segment: &Segment,
    participant: &Participant,
    writer: Writer,
    flags: u64,
) -> Result<Entered> {
    let owner = segment.word(writer.object + OWNER);
    if is_mine(segment, participant, writer) {
        let now = owner.load(Ordering::Relaxed);
        if now & COUNT == COUNT {
            return Err(corrupt("the lock was acquired 2**31 times by its owner"));
        }
        owner.store(now + 1, Ordering::Relaxed);
        return Ok(Entered::Yes);
    }
    let recovered = match lock::try_acquire(segment, writer.object.lock(), participant.me, flags)? {
        Tried::Held(_) => return Ok(Entered::No),
        Tried::Acquired => owner.load(Ordering::Relaxed) & RECOVERED,
        Tried::Recovered => RECOVERED,
    };
    owner.store(
        u64::from(writer.thread) << 32 | recovered | 1,
        Ordering::Relaxed,
    );
    Ok(Entered::Yes)
}

/// One release of `get_lock()`; false if this thread does not hold it.
///
/// # Crash
/// Thread and count are cleared before the unlock.
pub fn exit(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    if !is_mine(segment, participant, writer) {
        return false;
    }
    let owner = segment.word(writer.object + OWNER);
    let now = owner.load(Ordering::Relaxed);
    if now & COUNT > 1 {
        owner.store(now - 1, Ordering::Relaxed);
    } else {
        if seeded(Bug::OwnerAfterUnlock) {
            lock::release(segment, writer.object.lock());
            owner.store(0, Ordering::Relaxed);
            return true;
        }
        owner.store(0, Ordering::Relaxed);
        lock::release(segment, writer.object.lock());
    }
    true
}

/// How often this thread holds it.
pub fn count(segment: &Segment, participant: &Participant, writer: Writer) -> u64 {
    if !is_mine(segment, participant, writer) {
        return 0;
    }
    segment.word(writer.object + OWNER).load(Ordering::Relaxed) & COUNT
}

/// How often the holder, whoever that is, holds the object at this moment.
///
/// # Errors
/// `Corrupt`.
pub fn levels(segment: &Segment, object: Object) -> Result<u64> {
    let owner = segment.word(object + OWNER).load(Ordering::Relaxed);
    let is_held = lock::is_held(segment, segment.word(object.0).load(Ordering::Acquire))?; // as `is_past` needs
    Ok(if is_held { owner & COUNT } else { 0 })
}

/// Whether the holder of `get_lock()` before this one died.
pub fn is_recovered(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    is_mine(segment, participant, writer)
        && segment.word(writer.object + OWNER).load(Ordering::Relaxed) & RECOVERED != 0
}
