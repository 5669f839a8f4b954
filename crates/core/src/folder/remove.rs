//! How a space goes, and what the dead left with it.

use super::build::folder_of;
use super::ownership::open_own;
use super::place::{DRAFT, SUFFIX, is_linked, system, word_of};
use crate::error::Result;
use crate::memory::layout::{self, GATE_BYTE, superblock};
use crate::memory::superblock::{DURABLE, NAMED, PRIVATE};
use crate::os::{self, Claim, File};
use crate::process::participant::any_alive;
use crate::space::Space;
use crate::sync::Ordering;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long a removal by force waits for who comes in just now: he may be stopped.
const TURNS: u32 = 20;
const TURN: Duration = Duration::from_millis(1);

/// Seconds that a space without processes waits for its open tickets.
const GRACE: u64 = 60;

/// Removes the file of a private space that no process holds (but us, if `own` is our slot), or a
/// draft. True: it is gone.
///
/// # Errors
/// `Refused` for another user's file; `System`; callers that tidy up may ignore them.
///
/// # Crash
/// The gate's lock falls with us; the next one begins again.
pub fn remove_if_dead(path: &Path, own: Option<u64>) -> Result<bool> {
    let Some((file, _)) = open_own(path)? else {
        return Ok(false);
    };
    if outlives_its_processes(&file, path)? && !has_extension(path, DRAFT) {
        return Ok(false);
    }
    if !claim_gate(&file, path)? || !is_linked(&file, path) {
        return Ok(false);
    }
    let alive = any_alive(&file, own).map_err(|e| system("fcntl", path, e))?;
    if alive || tickets_pending(&file, path)? {
        return Ok(false);
    }
    unlink(path)?;
    Ok(true)
}

/// Takes a file away, unless another has.
fn unlink(path: &Path) -> Result<()> {
    match os::unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|e| system("unlink", path, e)),
    }
}

/// Ends a space in this process, into which nothing leads here any more: its memory, its descriptor
/// and our place in it go. Any once its file was removed; a private one with its file, whatever it holds, if
/// no other process has it and no pickle that leads there is under way. False: it is not over. To be called
/// once more only if it said so.
///
/// # Errors
/// As `remove_if_dead`.
///
/// # Crash
/// The file is as it was, a space that nobody holds, or gone.
pub fn end(space: &Space) -> Result<bool> {
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    let Some(participant) = (unsafe { space.registered().as_ref() }) else {
        return Ok(false);
    };
    if !participant.is_idle() {
        return Ok(false);
    }
    let is_over = is_removed(space)?
        || space.kind() == PRIVATE
            && is_lost(space)
            && remove_if_dead(&space.segment.path(), Some(participant.me.slot))?;
    if is_over && space.vanish() {
        participant.let_go();
    }
    Ok(is_over)
}

/// Whether nobody can come by what a private space holds, but for processes that have it: no pickle of an
/// object is under way, nor one of the space, in which objects have names. Names that nobody can look for
/// keep nothing, nor do containers that hold each other.
fn is_lost(space: &Space) -> bool {
    let is_zero = |word| space.segment.word(word).load(Ordering::Relaxed) == 0;
    let is_sought = space.sent.load(Ordering::Relaxed) && !is_zero(superblock::LIVE_NAMES);
    is_zero(superblock::OPEN_TICKETS) && !is_sought
}

/// Whether a file has no name any more, whatever its path leads to for this process.
fn is_removed(space: &Space) -> Result<bool> {
    let file = space.segment.file();
    let status = file.and_then(|file| os::status_of(&file));
    let status = status.map_err(|e| system("fstat", &space.segment.path(), e))?;
    Ok(status.links == 0)
}

fn outlives_its_processes(file: &File, path: &Path) -> Result<bool> {
    let is_space = word_of(file, path, superblock::MAGIC)? == layout::MAGIC;
    let kind = word_of(file, path, superblock::KIND)?;
    Ok(is_space && (kind == NAMED || kind == DURABLE))
}

/// Removes the file of a space of any kind; false: other processes than ours (`own` is its slot)
/// use it. With `force` it goes all the same: they keep what they have, and who comes later finds
/// another space, or none. One that another process removed meanwhile is gone, too.
///
/// # Errors
/// `Refused` for another user's; `System`.
///
/// # Crash
/// It is there, or gone.
pub fn remove(path: &Path, own: Option<u64>, force: bool) -> Result<bool> {
    let Some((file, _)) = open_own(path)? else {
        return Ok(true);
    };
    // Who holds the gate removes no file but this one, and so nobody removes the next one of its name.
    let mut claimed = claim_gate(&file, path)?;
    let mut turns = 0;
    while force && !claimed && turns < TURNS {
        os::pause(TURN);
        claimed = claim_gate(&file, path)?;
        turns += 1;
    }
    let used = || any_alive(&file, own).map_err(|e| system("fcntl", path, e));
    if !force && (!claimed || used()?) {
        return Ok(!is_linked(&file, path));
    }
    if is_linked(&file, path) {
        unlink(path)?;
    }
    Ok(true)
}

fn claim_gate(file: &File, path: &Path) -> Result<bool> {
    os::claim(file, Claim::Write, GATE_BYTE, 1).map_err(|e| system("fcntl", path, e))
}

/// Whether pickles of a dead space's objects may still be under way. Its superblock is read and
/// written as a file, and only believed as far as that: a deadline at most `GRACE` ahead.
fn tickets_pending(file: &File, path: &Path) -> Result<bool> {
    let read = |offset| word_of(file, path, offset);
    if read(superblock::MAGIC)? != layout::MAGIC || read(superblock::OPEN_TICKETS)? == 0 {
        return Ok(false);
    }
    let now = os::boot_clock().as_secs().max(1);
    let since = read(superblock::ABANDONED)?;
    if since == 0 || since > now {
        let _ = os::write_at(file, &now.to_ne_bytes(), superblock::ABANDONED);
        return Ok(true);
    }
    Ok(now - since <= GRACE)
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}

/// Removes the private spaces in `folder` that no process holds, and drafts left by the dead.
/// What cannot be looked at is left alone.
pub fn clean(folder: &Path) -> usize {
    let paths = os::entries(folder).unwrap_or_default();
    let ours = paths
        .into_iter()
        .filter(|path| has_extension(path, SUFFIX) || has_extension(path, DRAFT));
    ours.filter(|path| matches!(remove_if_dead(path, None), Ok(true)))
        .count()
}

/// Removes the drafts of a file of the user's that were left beside it by the dead.
pub fn clean_beside(path: &Path) -> usize {
    let Some(name) = path.file_name() else {
        return 0;
    };
    let start = format!(".{}.", name.to_string_lossy());
    let is_draft = |found: &Path| {
        let digits = found.file_name().and_then(|name| {
            let name = name.to_str()?;
            name.strip_prefix(&start)?.strip_suffix(".new")
        });
        digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let paths = os::entries(folder_of(path)).unwrap_or_default();
    let drafts = paths.into_iter().filter(|path| is_draft(path));
    drafts
        .filter(|path| matches!(remove_if_dead(path, None), Ok(true)))
        .count()
}
