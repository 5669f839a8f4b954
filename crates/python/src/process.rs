//! The spaces that this process has open, and what becomes of them at forks and at exit.

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
    heirs: Vec<(&'static Space, fork::Heir)>,
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

/// Makes a place for the child in every space, before `os.fork()`.
#[pyfunction]
pub fn before_fork(py: Python<'_>) -> PyResult<()> {
    let spaces = open().spaces.clone();
    let mut first = None;
    for space in spaces {
        match fork::before(space) {
            Ok(Some(heir)) => open().heirs.push((space, heir)),
            Ok(None) => {}
            Err(error) => first = first.or(Some(error)),
        }
    }
    for (space, _) in &open().heirs {
        space.roster.freeze();
    }
    first.map_or(Ok(()), |error| Err(raise(py, error)))
}

#[pyfunction]
pub fn after_fork_in_parent() {
    for (space, heir) in std::mem::take(&mut open().heirs) {
        space.roster.thaw();
        fork::after_in_parent(heir);
    }
}

#[pyfunction]
pub fn after_fork_in_child() {
    for (space, heir) in std::mem::take(&mut open().heirs) {
        space.roster.thaw();
        fork::after_in_child(space, heir);
    }
}

/// At exit: the last process of a private space removes its file. The mapping stays, for what
/// still runs after.
#[pyfunction]
pub fn leave() {
    for space in open().spaces.clone() {
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
