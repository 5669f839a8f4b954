//! The spaces that this process has open, and what becomes of them at forks and at exit.

use crate::cell::thread;
use crate::error::{raise, waiting};
use courtyard_core::check::{self, Census};
use courtyard_core::error::Result;
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, folder, fork};
use pyo3::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Spaces are never closed: handles, views and other threads may use them until the process ends.
#[derive(Default)]
struct Open {
    spaces: Vec<&'static Space>,
    /// The private space of this process: the first it made or was handed.
    private: Option<&'static Space>,
    /// The children that threads are about to fork: other modules' hooks may run between ours and
    /// the fork, and in them another thread that forks too.
    heirs: Heirs,
}

static OPEN: Mutex<Open> = Mutex::new(Open {
    spaces: Vec::new(),
    private: None,
    heirs: Vec::new(),
});

/// Held with the GIL, for a few instructions, never while anything waits.
fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chosen_folder() -> Result<PathBuf> {
    let chosen = std::env::var_os("COURTYARD_DIR").filter(|value| !value.is_empty());
    folder::open(chosen.as_deref().map(Path::new))
}

fn keep(space: Space) -> &'static Space {
    let space: &'static Space = Box::leak(Box::new(space));
    let mut open = open();
    open.spaces.push(space);
    open.private.get_or_insert(space);
    space
}

/// The private space, made on first use.
///
/// # Errors
/// As `folder::create`.
pub fn private() -> Result<&'static Space> {
    if let Some(space) = open().private {
        return Ok(space);
    }
    Ok(keep(folder::create(&chosen_folder()?, HOOKS)?))
}

/// The space that a pickle names.
///
/// # Errors
/// As `folder::attach`.
pub fn attached(path: &Path, uuid: u128) -> Result<&'static Space> {
    if let Some(space) = open().spaces.iter().find(|space| space.uuid == uuid) {
        return Ok(space);
    }
    Ok(keep(folder::attach(path, uuid, HOOKS)?))
}

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

type Heirs = Vec<(u32, &'static Space, fork::Heir)>;

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
    for (_, _, heir) in ours {
        fork::after_in_parent(heir);
    }
}

#[pyfunction]
pub fn after_fork_in_child(py: Python<'_>) -> PyResult<()> {
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

/// At exit: the last process of a private space removes its file. The mapping stays, for what
/// still runs after.
#[pyfunction]
pub fn leave() {
    let spaces = open().spaces.clone();
    for space in spaces {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let own = unsafe { space.registered().as_ref() }.map(|participant| participant.me.slot);
        if own.is_some() {
            let _ = folder::remove_if_dead(&space.segment.path(), own);
        }
    }
}

/// Removes the files of private spaces whose processes are all gone; how many.
#[pyfunction]
pub fn clean() -> usize {
    chosen_folder().map_or(0, |folder| folder::clean(&folder))
}

/// Checks a space and counts what it holds.
///
/// # Errors
/// `CorruptError` with the first contradiction.
pub fn census(py: Python<'_>, space: &'static Space) -> PyResult<[u64; 7]> {
    let census = waiting(py, |patience| check::check(space, patience))?;
    let Census {
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        tickets,
        participants,
    } = census;
    Ok([
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        tickets,
        participants,
    ])
}
