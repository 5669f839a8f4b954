//! What becomes of the open spaces at a fork.

use super::open::{Reservations, end_if_over, open};
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
        if let Ok(Some(reservation)) = fork::before(space) {
            open().reservations.push((thread(), space, reservation));
        }
    }
}

/// This thread's reservations, and those of others.
fn reservations() -> (Reservations, Reservations) {
    let all = std::mem::take(&mut open().reservations);
    all.into_iter()
        .partition(|&(forker, _, _)| forker == thread())
}

#[pyfunction]
pub fn after_fork_in_parent() {
    let (ours, others) = reservations();
    open().reservations.extend(others);
    for (_, space, reservation) in ours {
        fork::after_in_parent(reservation);
        end_if_over(space); // perhaps another thread could not, beside a child reservation
    }
}

#[pyfunction]
pub fn after_fork_in_child(py: Python<'_>) -> PyResult<()> {
    ending::after_fork();
    let (ours, others) = reservations();
    // Children that other threads of the parent were about to fork: not ours to keep alive.
    for (_, _, reservation) in others {
        fork::after_in_parent(reservation);
    }
    for (_, space, reservation) in ours {
        fork::after_in_child(space, reservation).map_err(|error| raise(py, error))?;
    }
    Ok(())
}
