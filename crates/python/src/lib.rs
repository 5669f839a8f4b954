//! `courtyard._native`: the hot classes, the GIL, signals and exceptions over the engine.

mod argument;
mod barrier;
mod cell;
mod codec;
mod condition;
mod deadline;
mod edit;
mod ending;
mod enrolment;
mod error;
mod flag;
mod format;
mod guard;
mod handle;
mod hot;
mod identity;
mod inspect;
mod list;
mod mutex;
mod primitive;
mod process;
mod queue;
mod raw;
mod reference;
mod semaphore;
mod space;
mod subclass;
mod table;
mod trust;
mod value;
mod vector;
mod waiter;

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
        crate::subclass::install(module.py())
    }

    #[pymodule_export]
    use crate::barrier::Barrier;
    #[pymodule_export]
    use crate::cell::Cell;
    #[pymodule_export]
    use crate::codec::failure::showing;
    #[pymodule_export]
    use crate::codec::{_decode, _encode, linked, peek};
    #[pymodule_export]
    use crate::condition::Condition;
    #[pymodule_export]
    use crate::edit::Edit;
    #[pymodule_export]
    use crate::ending::end;
    #[pymodule_export]
    use crate::flag::Flag;
    #[pymodule_export]
    use crate::guard::{CellLock, GuardedCell};
    #[pymodule_export]
    use crate::hot::{install, rehome};
    #[pymodule_export]
    use crate::identity::{_key_decode, _key_encode};
    #[pymodule_export]
    use crate::inspect::{check, figures};
    #[pymodule_export]
    use crate::list::{Deque, List, Sequence};
    #[pymodule_export]
    use crate::mutex::{Mutex, RMutex};
    #[pymodule_export]
    use crate::primitive::Primitive;
    #[pymodule_export]
    use crate::process::{
        after_fork_in_child, after_fork_in_parent, before_fork, clean, end_by_itself, leave,
        leave_at_exit, leave_home,
    };
    #[pymodule_export]
    use crate::queue::{Lease, Piece, Queue};
    #[pymodule_export]
    use crate::reference::{Export, export};
    #[pymodule_export]
    use crate::semaphore::Semaphore;
    #[pymodule_export]
    use crate::space::{
        Space, folder_of_spaces, place_of, remove_orphan, remove_space, same_object, space_at,
        space_path, spaces,
    };
    #[pymodule_export]
    use crate::subclass::{adopt, is_made};
    #[pymodule_export]
    use crate::table::{Map, Table, begin_merge};
    #[pymodule_export]
    use crate::value::View;
    #[pymodule_export]
    use crate::vector::{GuardedVector, Vector};
}
