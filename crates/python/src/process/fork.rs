//! What becomes of the open spaces at a fork.

use super::open::{Heirs, end_if_over, open};
use crate::ending;
use crate::error::raise;
use crate::thread::thread;
use courtyard_core::fork;
use pyo3::prelude::*;

/// Makes a place for the child in every space, before `os.fork()`. Where there is none to be had
/// the child looks for one itself when it first uses an object, and is told what is wrong.
#[pyfunction]
pub fn before_fork() {
    let spaces = open().spaces.clone();
    for space in spaces {
        if let Ok(Some(heir)) = fork::before(space) {
            open().heirs.push((thread(), space, heir));
        }
    }
}

/// This thread's heirs, and those of others.
fn heirs() -> (Heirs, Heirs) {
    let all = std::mem::take(&mut open().heirs);
    all.into_iter()
        .partition(|&(forker, _, _)| forker == thread())
}

#[pyfunction]
pub fn after_fork_in_parent() {
    let (ours, others) = heirs();
    open().heirs.extend(others);
    for (_, space, heir) in ours {
        fork::after_in_parent(heir);
        end_if_over(space); // perhaps another thread could not, beside an heir
    }
}

#[pyfunction]
pub fn after_fork_in_child(py: Python<'_>) -> PyResult<()> {
    ending::after_fork();
    let (ours, others) = heirs();
    // Children that other threads of the parent were about to fork: not ours to keep alive.
    for (_, _, heir) in others {
        fork::after_in_parent(heir);
    }
    for (_, space, heir) in ours {
        fork::after_in_child(space, heir).map_err(|error| raise(py, error))?;
    }
    Ok(())
}
