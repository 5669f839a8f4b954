//! How a process comes into a space that there is.

use super::build::{Plan, create_at, draft_of};
use super::ownership::{open_ours, require_one_name};
use super::place::{is_linked, system};
use super::remove::clean_beside;
use super::title::file_name;
use crate::error::{Error, Result};
use crate::memory::layout::{GATE_BYTE, WORD, superblock};
use crate::memory::segment::Segment;
use crate::memory::superblock::{DURABLE, NAMED, PRIVATE, Superblock};
use crate::os::{self, Claim, File};
use crate::report::check;
use crate::space::{Hooks, Space, unlimited, until_signal};
use crate::sync::Ordering;
use std::io;
use std::path::Path;

/// What is asked of a space that is found by its path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Whether it is made if there is none.
    pub create: bool,
    /// A limit in bytes to what it may hold, from now on; None: as it is.
    pub limit: Option<u64>,
    /// Whether it is only looked at: see `look`.
    pub looks: bool,
}

/// Which space is expected at a path.
enum Expected<'a> {
    Uuid(u128),
    Kind(u64, &'a str),
}

/// Opens an existing space and registers in it.
///
/// # Errors
/// `NotFound` if it is gone; `Layout`, `Corrupt`, `Crowded`, `Full`, `System`.
pub fn attach(path: &Path, uuid: u128, hooks: Hooks) -> Result<Space> {
    let found = enter(path, &Expected::Uuid(uuid), hooks, false)?;
    found.ok_or_else(|| gone(path))
}

/// As `attach`, by a process that only looks at the space. What the dead hold stays theirs, so that it can be
/// shown, unless it is in the way.
///
/// # Errors
/// As `attach`.
pub fn look(path: &Path, uuid: u128, hooks: Hooks) -> Result<Space> {
    let found = enter(path, &Expected::Uuid(uuid), hooks, true)?;
    found.ok_or_else(|| gone(path))
}

fn gone(path: &Path) -> Error {
    Error::NotFound(format!(
        "{}: this space is gone: no process that held it lives; keep one of them, or the \
         object's sender, alive until the receiver has loaded it",
        path.display()
    ))
}

/// Opens the named space of that name, or makes it.
///
/// # Errors
/// `NotFound` if there is none and it is not to be made; `Refused` for a name that cannot be one
/// or a file that is not ours; as `attach` and `create`.
///
/// # Crash
/// It is there whole, or not at all.
pub fn open_named(folder: &Path, title: &str, wish: Wish, hooks: Hooks) -> Result<Space> {
    let path = file_name(folder, title)?;
    let missing =
        || format!("there is no space {title:?}: make one with create=True, or start who makes it");
    let plan = Plan {
        kind: NAMED,
        path: &path,
        title,
        limit: wish.limit.unwrap_or(0),
    };
    open(&plan, wish, missing, hooks)
}

/// Opens the space in a file of the user's, or makes it.
///
/// # Errors
/// As `open_named`.
///
/// # Crash
/// As `open_named`.
pub fn open_durable(path: &Path, wish: Wish, hooks: Hooks) -> Result<Space> {
    let missing = || {
        format!(
            "{}: there is no such space: make one with create=True",
            path.display()
        )
    };
    let plan = Plan {
        kind: DURABLE,
        path,
        title: "",
        limit: wish.limit.unwrap_or(0),
    };
    clean_beside(path);
    open(&plan, wish, missing, hooks)
}

fn open(plan: &Plan, wish: Wish, missing: impl Fn() -> String, hooks: Hooks) -> Result<Space> {
    loop {
        let expected = Expected::Kind(plan.kind, plan.title);
        if let Some(space) = enter(plan.path, &expected, hooks, wish.looks)? {
            if let Some(limit) = wish.limit {
                set_limit(&space, limit);
            }
            return Ok(space);
        }
        if !wish.create {
            return Err(Error::NotFound(missing()));
        }
        if let Some(space) = create_at(plan, hooks)? {
            return Ok(space);
        }
    }
}

/// Limits what a space may hold from now on, in bytes; 0: not at all.
pub fn set_limit(space: &Space, limit: u64) {
    let word = space.segment.word(superblock::SIZE_LIMIT);
    word.store(limit, Ordering::Relaxed);
}

/// The limit in bytes to what a space may hold; 0: none.
pub fn limit_of(space: &Space) -> u64 {
    let word = space.segment.word(superblock::SIZE_LIMIT);
    word.load(Ordering::Relaxed)
}

/// None: there is no such file, or one of another UUID.
fn enter(path: &Path, expected: &Expected, hooks: Hooks, looks: bool) -> Result<Option<Space>> {
    loop {
        let Some(gate) = open_ours(path)? else {
            return Ok(None);
        };
        // A copy: what it says of itself does not change while we wait.
        let superblock = Superblock::read(&gate, path)?;
        if !is_expected(&superblock, path, expected)? {
            return Ok(None);
        }
        let outlives = superblock.outlives_its_processes();
        let claim = if outlives { Claim::Write } else { Claim::Read };
        match os::claim_wait(&gate, claim, GATE_BYTE, 1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(Error::Interrupted);
            }
            other => other.map_err(|e| system("fcntl", path, e))?,
        }
        if !is_linked(&gate, path) {
            continue; // removed while we waited: look for it again
        }
        let draft = draft_of(superblock.kind, path, superblock.uuid);
        require_one_name(&gate, path, &draft)?;
        let Some(file) = another(&gate, path)? else {
            continue;
        };
        let segment = Segment::map_known(file, path, superblock)?;
        let alone = outlives && !any_alive(&gate, path)?;
        let space = Space::new(segment, hooks)?;
        space.looks.store(looks, Ordering::Relaxed);
        let entered = space
            .participate(&until_signal)
            .map(drop)
            .and_then(|()| if alone { reopen(&space, &gate) } else { Ok(()) });
        if let Err(error) = entered {
            space.discard();
            return Err(error);
        }
        space
            .segment
            .word(superblock::ABANDONED)
            .store(0, Ordering::Relaxed);
        return Ok(Some(space)); // the gate's lock goes with its descriptor: we are registered
    }
}

/// Another description of the file that was looked at. None: its path leads elsewhere by now.
fn another(gate: &File, path: &Path) -> Result<Option<File>> {
    let again = os::reopen(gate).or_else(|error| match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(error),
        _ => os::open(path), // no /proc here
    });
    let file = match again {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        again => again.map_err(|e| system("open", path, e))?,
    };
    let identity = |file| os::status_of(file).map(|status| status.identity);
    let same = identity(gate).and_then(|gate| Ok(gate == identity(&file)?));
    let same = same.map_err(|e| system("fstat", path, e))?;
    Ok(same.then_some(file))
}

fn any_alive(gate: &File, path: &Path) -> Result<bool> {
    crate::process::participant::any_alive(gate, None).map_err(|e| system("fcntl", path, e))
}

fn is_expected(superblock: &Superblock, path: &Path, expected: &Expected) -> Result<bool> {
    match *expected {
        Expected::Uuid(uuid) => Ok(superblock.uuid == uuid),
        Expected::Kind(wanted, title) => {
            if superblock.kind != wanted {
                let name = |kind| match kind {
                    PRIVATE => "a private space",
                    NAMED => "a named space",
                    DURABLE => "a durable space",
                    _ => "no space of a kind known here",
                };
                return Err(Error::Layout(format!(
                    "{}: expected {}, found {}",
                    path.display(),
                    name(wanted),
                    name(superblock.kind)
                )));
            }
            let found = superblock.title(path)?;
            if found != title {
                return Err(Error::Refused(format!(
                    "{}: this file is the space {found:?}, not {title:?}: use another name",
                    path.display()
                )));
            }
            Ok(true)
        }
    }
}

/// The first to come after all others ended: if the machine was started anew meanwhile, or this is
/// a copy of the file, it is checked whole. The gate keeps others out until that is done.
///
/// # Crash
/// The next one to come checks again.
fn reopen(space: &Space, gate: &File) -> Result<()> {
    let segment = &space.segment;
    let path = segment.path();
    let status = os::status_of(gate).map_err(|e| system("fstat", &path, e))?;
    let boot = os::boot_id();
    let here = [
        (superblock::DEVICE, status.identity.device),
        (superblock::INODE, status.identity.inode),
        (superblock::BOOT, boot as u64),
        (superblock::BOOT + WORD, (boot >> 64) as u64),
    ];
    let same = |&(offset, value): &(u64, u64)| {
        let word = segment.word(offset);
        word.load(Ordering::Relaxed) == value
    };
    if here.iter().all(same) {
        return Ok(());
    }
    check::check(space, &unlimited).map_err(|error| match error {
        Error::Corrupt(what) => Error::Corrupt(format!(
            "{}: not as its last process left it, for the machine went down or the file was \
             copied while in use: {what}; go back to a copy made while nobody used it, or remove \
             the file",
            path.display()
        )),
        error => error,
    })?;
    for (offset, value) in here {
        segment.word(offset).store(value, Ordering::Relaxed);
    }
    Ok(())
}
