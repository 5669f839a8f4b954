//! Acquiring and releasing locks of either kind.

use crate::error::raise;
use crate::object::Object;
use crate::object::waiter::look_if_due;
use crate::thread::thread_writer;
use courtyard_core::error::Result;
use courtyard_core::participant::Participant;
use courtyard_core::{mutex, object};
use pyo3::prelude::*;

/// Acquires the lock, of either kind, on the fast path.
#[inline(always)]
pub fn quick_acquire(lock: &Object) -> bool {
    lock.handle
        .held()
        .is_some_and(|participant| matches!(try_acquire(lock, participant, 0), Ok(true)))
}

/// One attempt to acquire the lock.
#[inline(always)]
pub fn try_acquire(lock: &Object, participant: &Participant, flags: u64) -> Result<bool> {
    let segment = &lock.handle.space.segment;
    if lock.kind == object::MUTEX {
        return mutex::try_acquire(segment, participant, lock.handle.object, flags);
    }
    mutex::enter(
        segment,
        participant,
        thread_writer(lock.handle.object),
        flags,
    )
}

pub fn is_locked(lock: &Object, py: Python<'_>) -> PyResult<bool> {
    lock.handle.open(py)?;
    let space = lock.handle.space;
    let is_locked =
        || mutex::is_locked(&space.segment, lock.handle.object).map_err(|error| raise(py, error));
    Ok(is_locked()? && (!look_if_due(py, space)? || is_locked()?))
}

/// Releases the lock; false if it is not known who we are, or that is an error to be told.
#[inline(always)]
pub fn quick_release(lock: &Object) -> bool {
    let known = lock.handle.held();
    known.is_some_and(|participant| release(lock, participant))
}

/// Releases the lock; false if it is not held.
#[inline(always)]
pub fn release(lock: &Object, participant: &Participant) -> bool {
    let segment = &lock.handle.space.segment;
    if lock.kind == object::MUTEX {
        return mutex::release(segment, lock.handle.object);
    }
    mutex::exit(segment, participant, thread_writer(lock.handle.object))
}
