//! What becomes of the open spaces at the end of the process.

use super::open::OPEN;
use crate::ending;
use courtyard_core::space::{AT_ONCE, Space, within};
use courtyard_core::{folder, leave as leave_space, sleeper};
use pyo3::prelude::*;

/// At exit, this process gives its slots back, and the last process of a private space removes its file:
/// later than all that Python runs then, which may still start processes and hand objects to them. False:
/// it cannot be arranged.
#[pyfunction]
pub fn leave_at_exit() -> bool {
    extern "C" fn at_exit() {
        let _ = std::panic::catch_unwind(|| {
            leave();
            give_back();
        }); // nobody is left to be told
    }
    // SAFETY: the function calls nothing of Python's, which is gone by then.
    unsafe { pyo3::ffi::Py_AtExit(Some(at_exit)) == 0 }
}

/// This process comes to its end by itself: nobody will miss it at a barrier that it was a party of.
#[pyfunction]
pub fn end_by_itself() {
    for space in left() {
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
    for space in left() {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let own = unsafe { space.registered().as_ref() }.map(|participant| participant.me.slot);
        if own.is_some() {
            let _ = folder::remove_if_dead(&space.segment.path(), own);
        }
    }
}

/// Gives back the slots of this process: nobody has to recover what it held, or takes it for one that
/// was killed. Python runs no more code here; but a thread that the interpreter left behind may still be in
/// a call without the GIL, and then all stays.
fn give_back() {
    if ending::is_any_away() || !sleeper::end() {
        return;
    }
    for space in left() {
        let _ = leave_space(space, &within(AT_ONCE)); // what is left is recovered
    }
}

/// The spaces that are open at the end; none if a thread that ended with the interpreter was at it: the next
/// process cleans up.
fn left() -> Vec<&'static Space> {
    let open = OPEN.try_lock();
    open.map(|open| open.spaces.clone()).unwrap_or_default()
}
