//! What becomes of the open spaces at the end of the process.

use super::open::OPEN;
use courtyard_core::folder;
use pyo3::prelude::*;

/// At exit, the last process of a private space removes its file: later than all that Python runs
/// then, which may still start processes and hand objects to them. False: it cannot be arranged.
#[pyfunction]
pub fn leave_at_exit() -> bool {
    extern "C" fn at_exit() {
        let _ = std::panic::catch_unwind(leave); // nobody is left to be told
    }
    // SAFETY: the function calls nothing of Python's, which is gone by then.
    unsafe { pyo3::ffi::Py_AtExit(Some(at_exit)) == 0 }
}

/// This process comes to its end by itself: nobody will miss it at a barrier that it was a party of.
#[pyfunction]
pub fn end_by_itself() {
    let Ok(open) = OPEN.try_lock() else {
        return; // a thread that ended with the interpreter
    };
    for space in &open.spaces {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        if let Some(participant) = unsafe { space.registered().as_ref() } {
            participant.end_by_itself(&space.segment);
        }
    }
}

/// The last process of a private space removes its file. The mapping stays, for what still runs after.
#[pyfunction]
pub fn leave() {
    end_by_itself();
    let spaces = match OPEN.try_lock() {
        Ok(open) => open.spaces.clone(),
        Err(_) => return, // a thread that ended with the interpreter: the next process cleans up
    };
    for space in spaces {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let own = unsafe { space.registered().as_ref() }.map(|participant| participant.me.slot);
        if own.is_some() {
            let _ = folder::remove_if_dead(&space.segment.path(), own);
        }
    }
}
