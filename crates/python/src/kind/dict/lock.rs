//! The lock of a table: whoever holds it sees no change of others under way.

use crate::deadline::Deadline;
use crate::object::{self, Entry, Handle};
use courtyard_core::sync::Ordering;
use courtyard_core::{lock, table};
use pyo3::prelude::*;

pub const LOCK: Entry = Entry { acquire, release };

/// Acquires the table's lock, and waits until no earlier change is under way.
pub fn acquire(py: Python<'_>, handle: &Handle, deadline: Option<Deadline>) -> PyResult<bool> {
    if !object::acquire(py, handle, deadline)? {
        return Ok(false);
    }
    let quiet = handle
        .open(py)
        .and_then(|open| open.waiting(py, |caller| table::quiesce(caller, handle.object)));
    if let Err(error) = quiet {
        let _ = release(py, handle);
        return Err(error);
    }
    Ok(true)
}

/// Releases the table's lock. Writers that wait for it do not take it, so all of them are woken: none
/// would wake the next.
pub fn release(py: Python<'_>, handle: &Handle) -> PyResult<()> {
    let segment = &handle.space.segment;
    let word = segment.word(handle.object.0).load(Ordering::Relaxed);
    object::release(py, handle)?;
    if word & lock::WAITERS != 0 {
        segment.wake(handle.object.0, u32::MAX);
    }
    Ok(())
}
