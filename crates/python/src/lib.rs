//! `courtyard._native`: the hot classes, the GIL, signals and exceptions over the engine.

// From the bottom up: each imports only from those above it (`tests/package/test_layering.py`).
mod abi;
mod argument;
mod deadline;
mod ending;
mod error;
mod format;
mod policy;
mod room;
mod thread;

mod process;

mod object;

mod codec;

mod value;

mod kind;

mod space;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Refuses an interpreter beside the first: `PyGILState_Ensure`, which our calls come to, knows the
/// first one's state only, and would wait for a GIL that its own thread holds.
fn refuse_subinterpreters() -> PyResult<()> {
    // SAFETY: a module is initialized with the GIL held.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: the interpreter that runs us.
    match unsafe { ffi::PyInterpreterState_GetID(interpreter) } {
        0 => Ok(()),
        other => Err(PyImportError::new_err(format!(
            "courtyard does not run in subinterpreters, and this is interpreter {other}; use it in \
             the main one, or start a process"
        ))),
    }
}

#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::refuse_subinterpreters()?;
        crate::room::keep();
        crate::object::subclass::install(module.py())
    }

    #[pymodule_export]
    use crate::abi::rehome;
    #[pymodule_export]
    use crate::codec::failure::showing;
    #[pymodule_export]
    use crate::codec::identity::{_key_decode, _key_encode};
    #[pymodule_export]
    use crate::codec::{_decode, _encode, linked, peek};
    #[pymodule_export]
    use crate::ending::end;
    #[pymodule_export]
    use crate::kind::array::{Array, RawArray};
    #[pymodule_export]
    use crate::kind::barrier::{Barrier, Visit};
    #[pymodule_export]
    use crate::kind::condition::{Condition, Place};
    #[pymodule_export]
    use crate::kind::dict::{Dict, Table, Watch, begin_merge};
    #[pymodule_export]
    use crate::kind::event::Event;
    #[pymodule_export]
    use crate::kind::list::{Deque, List, Sequence};
    #[pymodule_export]
    use crate::kind::lock::{Lock, RLock};
    #[pymodule_export]
    use crate::kind::queue::{Lease, Piece, Queue};
    #[pymodule_export]
    use crate::kind::semaphore::Semaphore;
    #[pymodule_export]
    use crate::kind::value::{RawValue, Value};
    #[pymodule_export]
    use crate::kind::{adopt, install};
    #[pymodule_export]
    use crate::object::subclass::is_made;
    #[pymodule_export]
    use crate::object::{
        Edit, Listener, Object, ObjectLock, Registration, WaitNote, as_owner, attempt, new_owner,
        note_wait, ready, waits,
    };
    #[pymodule_export]
    use crate::process::{
        after_fork_in_child, after_fork_in_parent, before_fork, clean, end_by_itself, leave,
        leave_at_exit, leave_home,
    };
    #[pymodule_export]
    use crate::space::{
        Space, check, figures, folder_of_spaces, place_of, references, remove_orphan, remove_space,
        same_object, soon, space_at, space_path, spaces,
    };
    #[pymodule_export]
    use crate::value::View;
    #[pymodule_export]
    use crate::value::reference::{Export, export};
}
