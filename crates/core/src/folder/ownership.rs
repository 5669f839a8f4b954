//! Whose a file is: asked of the descriptor that was opened, before anything in the file is believed
//! and before anything is waited for. Nobody but its user can then write to it or lock it.

use super::place::{require_local, system};
use crate::error::{Error, Result};
use crate::memory::layout::GATE_BYTE;
use crate::os::{self, Carrier, Claim, File, Status};
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A descriptor by which the gate may be locked, until it is dropped.
pub(super) struct Gate(Carrier);

impl Gate {
    pub fn open(path: &Path) -> io::Result<Gate> {
        Carrier::new(|| os::open(path)).map(Gate)
    }
}

impl Deref for Gate {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.0.is_ours() {
            // By hand: a child that was forked just now may not have closed its copy yet.
            let _ = os::claim(&self.0, Claim::Release, GATE_BYTE, 1);
        }
    }
}

/// Opens a file that may become a space of ours. None: there is none.
///
/// # Errors
/// `Refused` for one that others could write to, or that is on no file system of this machine;
/// `System`.
pub(super) fn open_ours(path: &Path) -> Result<Option<Gate>> {
    let Some((file, status)) = open_own(path)? else {
        return Ok(None);
    };
    if status.mode & 0o077 != 0 {
        return Err(Error::Refused(format!(
            "{}: this file has mode {:04o}, so other users can read it or write to it, and \
             courtyard opens only files of mode 0600, as it makes them: if no other user has \
             changed it, run chmod 600 {}",
            path.display(),
            status.mode,
            path.display()
        )));
    }
    require_local(&file, path)?;
    Ok(Some(file))
}

/// Opens a file to look at or to remove it, whatever its mode. None: there is none.
///
/// # Errors
/// `Refused` for what is another user's, or no file; `System`.
pub(super) fn open_own(path: &Path) -> Result<Option<(Gate, Status)>> {
    let file = match Gate::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| system("open", path, e))?,
    };
    let status = os::status_of(&file).map_err(|e| system("fstat", path, e))?;
    if !status.regular {
        return Err(Error::Refused(format!(
            "{}: not a regular file, so not a space: use another name",
            path.display()
        )));
    }
    let user = os::effective_user();
    if status.owner != user {
        return Err(Error::Refused(format!(
            "{}: owned by user {}, and this is user {user}: a space is one user's; use another \
             name, or run as that user",
            path.display(),
            status.owner
        )));
    }
    Ok(Some((file, status)))
}

/// Refuses a file that has other names than the one it was found by: it is the space of one of them
/// alone. The draft that its maker died over is taken away. The gate is held.
pub(super) fn require_one_name(gate: &File, path: &Path, draft: &Path) -> Result<()> {
    let status = || os::status_of(gate).map_err(|e| system("fstat", path, e));
    let mut found = status()?;
    if found.links > 1 && os::status_at(draft).is_ok_and(|it| it.identity == found.identity) {
        let _ = os::unlink(draft); // or its maker came first
        found = status()?;
    }
    if found.links > 1 {
        return Err(Error::Refused(format!(
            "{}: this file has {} names (hard links); expected one: remove the others, or copy it",
            path.display(),
            found.links
        )));
    }
    Ok(())
}
