//! `get_lock()`: the object's lock in its user's hands, recursive, by thread.

use super::head::{COUNT, EVENT, OWNER, RECOVERED, Writer, is_mine};
use crate::change::lock::{self, Tried};
use crate::change::wait;
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

/// As `exit`, and wakes those who wait for a change of the object: one that waits in an event loop sleeps on
/// no lock.
///
/// # Crash
/// As `exit`. Whoever waits and is not woken looks again when it finds that a process has gone.
pub fn exit_and_notify(segment: &Segment, participant: &Participant, writer: Writer) -> bool {
    let is_left = exit(segment, participant, writer);
    if is_left {
        wait::notify_waiters(segment, writer.object + EVENT);
    }
    is_left
}

/// How often this thread holds it.
pub fn count(segment: &Segment, participant: &Participant, writer: Writer) -> u64 {
    if !is_mine(segment, participant, writer) {
        return 0;
    }
    segment.word(writer.object + OWNER).load(Ordering::Relaxed) & COUNT
}

/// Which thread of this process holds the object's lock through `get_lock()`, if one does.
pub fn holder(segment: &Segment, participant: &Participant, object: Object) -> Option<u32> {
    let word = segment.word(object.0).load(Ordering::Relaxed);
    let owner = segment.word(object + OWNER).load(Ordering::Relaxed);
    let is_held = word != 0 && lock::is_held_by(word, participant.me) && owner & COUNT != 0;
    is_held.then_some((owner >> 32) as u32)
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
