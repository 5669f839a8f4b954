//! Whether pickles may be written and loaded: not while an object of a space is in use that this
//! process opened with `pickle=False`.
//!
//! What is in use says so to its thread, and takes it back: code of the user's that runs meanwhile
//! and uses an object of another space is judged by that one.

use crate::error::named;
use courtyard_core::space::Space;
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::prelude::*;
use std::cell::Cell;

/// Set once this process distrusts any space: before that nobody asks further.
static ANY: AtomicBool = AtomicBool::new(false);

thread_local! {
    static REFUSING: Cell<bool> = const { Cell::new(false) };
}

/// From now on, for this process, nothing in the space is pickled or unpickled.
pub fn distrust(space: &Space) {
    ANY.store(true, Ordering::Relaxed);
    space.distrusted.store(true, Ordering::Relaxed);
}

#[inline(always)]
pub fn is_distrusted(space: &Space) -> bool {
    ANY.load(Ordering::Relaxed) && space.distrusted.load(Ordering::Relaxed)
}

/// What was so before an object's use began; None: nobody asks.
pub type Before = Option<bool>;

/// An object of a space comes into use in this thread.
#[inline(always)]
pub fn enter(space: &Space) -> Before {
    ANY.load(Ordering::Relaxed)
        .then(|| REFUSING.replace(space.distrusted.load(Ordering::Relaxed)))
}

#[inline(always)]
pub fn leave(before: Before) {
    if let Some(before) = before {
        REFUSING.set(before);
    }
}

/// Whether an object of a distrusted space is in use in this thread.
pub fn is_refusing() -> bool {
    ANY.load(Ordering::Relaxed) && REFUSING.get()
}

/// # Errors
/// `NotTrusted` while an object of a distrusted space is in use.
pub fn require(py: Python<'_>) -> PyResult<()> {
    if !is_refusing() {
        return Ok(());
    }
    let message = "a pickle was refused: this process opened the space with pickle=False, so only \
                   plain values are stored and loaded (None, bool, int, float, complex, str, bytes, \
                   and tuples, lists, dicts and sets of them)";
    Err(named(py, "NotTrusted", message.into()))
}
