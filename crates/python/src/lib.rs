//! `courtyard._native`: the hot classes, the GIL, signals and exceptions over the engine.

mod cell;
mod codec;
mod error;
mod format;
mod guard;
mod handle;
mod hot;
mod mutex;
mod process;
mod raw;
mod waiter;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::cell::Cell;
    #[pymodule_export]
    use crate::guard::{CellLock, GuardedCell};
    #[pymodule_export]
    use crate::hot::install;
    #[pymodule_export]
    use crate::mutex::Mutex;
    #[pymodule_export]
    use crate::process::{after_fork_in_child, after_fork_in_parent, before_fork, clean, leave};
}
