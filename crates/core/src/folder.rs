//! The folder of segment files: made for one user, cleaned of the dead, entered by a gate.
//!
//! A space is built in an unnamed file and linked in whole once its creator's liveness is
//! locked. An attacher holds the gate's lock shared until it is registered; who removes a file
//! holds it exclusively and finds nobody registered. So nobody meets a space half born or gone.

use crate::error::{Error, Result};
use crate::layout::{self, GATE_BYTE, SLOTS, WORD, superblock};
use crate::os::{self, Claim};
use crate::participant::any_alive;
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::space::{Hooks, Space};
use crate::sync::Ordering;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What a space is for; part of its superblock.
pub const PRIVATE: u64 = 1;

const SUFFIX: &str = "cy1";
/// File systems whose locks or mappings are not shared memory: NFS, SMB, CIFS, SMB2, FUSE, 9p.
const REFUSED: [u64; 6] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x0102_1997,
];
const SMALLEST_MAX: u64 = 64 << 30;
const LARGEST_MAX: u64 = 4 << 40;
/// Seconds that a space without processes waits for its open tickets.
const GRACE: u64 = 60;

fn system(call: &'static str, path: &Path, source: io::Error) -> Error {
    Error::System {
        call,
        path: path.to_owned(),
        source,
    }
}

/// The folder of this user's spaces, made and examined: `override`, or one in /dev/shm, or in
/// the temporary folder.
///
/// # Errors
/// `Refused` if it is not ours alone; `System`.
pub fn open(chosen: Option<&Path>) -> Result<PathBuf> {
    let user = os::effective_user();
    let name = format!("courtyard-{user}");
    let candidates = match chosen {
        Some(path) => vec![path.to_owned()],
        None => vec![
            Path::new("/dev/shm").join(&name),
            std::env::temp_dir().join(&name),
        ],
    };
    let mut failure = None;
    for path in candidates {
        match make(&path, user) {
            Ok(()) => return Ok(path),
            Err(error @ Error::Refused(_)) => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::Refused("there is no folder for shared memory".into())))
}

fn make(path: &Path, user: u32) -> Result<()> {
    match os::make_folder(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(system("mkdir", path, error));
        }
        _ => {}
    }
    let status = os::status_at(path).map_err(|e| system("stat", path, e))?;
    let refuse = |what: String| {
        Err(Error::Refused(format!(
            "{}: {what}; expected a folder of user {user} with mode 0700: move it away, or set \
             COURTYARD_DIR to another",
            path.display()
        )))
    };
    if !status.folder {
        return refuse("not a folder".into());
    }
    if status.owner != user {
        return refuse(format!("owned by user {}", status.owner));
    }
    if status.mode & 0o077 != 0 {
        return refuse(format!("mode {:04o}", status.mode));
    }
    Ok(())
}

/// The file of a private space.
pub fn private_path(folder: &Path, uuid: u128) -> PathBuf {
    folder.join(format!("{uuid:032x}.{SUFFIX}"))
}

/// Makes a private space, registered and linked in.
///
/// # Errors
/// `Full`, `Refused`, `System`; then nothing is left.
pub fn create(folder: &Path, hooks: Hooks) -> Result<Space> {
    let mut bytes = [0; 16];
    os::random(&mut bytes).map_err(|e| system("getrandom", folder, e))?;
    let uuid = u128::from_ne_bytes(bytes);
    let path = private_path(folder, uuid);
    let unnamed = os::open_unnamed(folder).map_err(|e| system("open", folder, e));
    match unnamed.and_then(|file| build(file, &path, None, uuid, hooks)) {
        // No O_TMPFILE here, or no /proc to link it by.
        Err(Error::System { .. }) => create_draft(folder, &path, uuid, hooks),
        made => made,
    }
}

/// Builds a space under a name that no attacher looks for. Cleaners see that it is being built
/// by the gate, which stays locked until it has its own name.
fn create_draft(folder: &Path, path: &Path, uuid: u128, hooks: Hooks) -> Result<Space> {
    let draft = folder.join(format!("{uuid:032x}.new"));
    loop {
        let file = os::open_new(&draft).map_err(|e| system("open", &draft, e))?;
        let gate = os::duplicate(&file).map_err(|e| system("dup", &draft, e))?;
        let locked = os::claim(&gate, Claim::Read, GATE_BYTE, 1);
        if !locked.map_err(|e| system("fcntl", &draft, e))? || !is_linked(&gate, &draft) {
            continue; // a cleaner came first: the name is free again
        }
        let made = build(file, path, Some(&draft), uuid, hooks);
        if made.is_err() {
            let _ = os::unlink(&draft);
        }
        // By hand: the segment keeps the description for its queries.
        let _ = os::claim(&gate, Claim::Release, GATE_BYTE, 1);
        return made;
    }
}

fn build(file: File, path: &Path, draft: Option<&Path>, uuid: u128, hooks: Hooks) -> Result<Space> {
    let here = draft.unwrap_or(path);
    let file_system = os::file_system(&file).map_err(|e| system("fstatfs", path, e))?;
    if REFUSED.contains(&file_system.magic) {
        return Err(Error::Refused(format!(
            "{}: a network or user-space file system (type {:#x}) cannot hold shared memory; set \
             COURTYARD_DIR to a local one",
            path.display(),
            file_system.magic
        )));
    }
    let max = layout::align_up(file_system.size, layout::UNIT).clamp(SMALLEST_MAX, LARGEST_MAX);
    let data = layout::data_start(max);
    os::set_length(&file, data).map_err(|e| system("ftruncate", path, e))?;
    let header = layout::SLOT_RECORDS;
    os::allocate(&file, 0, header).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Error::Full(format!(
            "no room for a new space at {}: {e}; free some, point COURTYARD_DIR at a larger file \
             system, or in Docker raise --shm-size",
            path.display()
        )),
        _ => system("fallocate", path, e),
    })?;
    let words = [
        (superblock::MAGIC, layout::MAGIC),
        (superblock::VERSION, layout::VERSION),
        (superblock::LAYOUT_HASH, layout::layout_hash()),
        (superblock::UUID, uuid as u64),
        (superblock::UUID + WORD, (uuid >> 64) as u64),
        (superblock::KIND, PRIVATE),
        (superblock::SLOTS, SLOTS),
        (superblock::MAX_SIZE, max),
        (superblock::DATA, data),
        (superblock::SIZE, data),
    ];
    write_superblock(&file, &words).map_err(|e| system("write", path, e))?;
    let keep = os::duplicate(&file).map_err(|e| system("dup", path, e))?;
    let segment = Segment::map(file, here)?;
    let space = Space::new(segment, hooks)?;
    if let Err(error) = open_house(&space, &keep, path, draft) {
        space.discard();
        return Err(error);
    }
    Ok(space)
}

/// Makes a mapped space usable, registers in it, and only then lets others find it.
fn open_house(space: &Space, file: &File, path: &Path, draft: Option<&Path>) -> Result<()> {
    space.extend_new()?;
    if !planted(Bug::LinkBeforeRegister) {
        let participant = space.register(false)?;
        space.install(Box::new(participant));
    }
    let linked = match draft {
        None => os::link_unnamed(file, path),
        Some(draft) => os::link(draft, path).and_then(|()| os::unlink(draft)),
    };
    linked.map_err(|e| system("link", path, e))?;
    space.segment.set_path(path);
    if planted(Bug::LinkBeforeRegister) {
        let participant = space.register(false)?;
        space.install(Box::new(participant));
    }
    Ok(())
}

/// Writes the immutable words and their checksum with plain file writes: nobody maps it yet.
fn write_superblock(file: &File, words: &[(u64, u64)]) -> io::Result<()> {
    let mut page = [0u8; layout::PAGE as usize];
    for &(offset, value) in words {
        page[offset as usize..][..8].copy_from_slice(&value.to_ne_bytes());
    }
    let crc = u64::from(crc32fast::hash(&page[..superblock::IMMUTABLE as usize]));
    page[superblock::CRC as usize..][..8].copy_from_slice(&crc.to_ne_bytes());
    os::write_at(file, &page, 0)
}

/// Opens an existing space and registers in it.
///
/// # Errors
/// `NotFound` if it is gone; `Layout`, `Corrupt`, `Crowded`, `Full`, `System`.
pub fn attach(path: &Path, uuid: u128, hooks: Hooks) -> Result<Space> {
    let gone = || {
        Error::NotFound(format!(
            "{}: this space is gone: no process that held it lives; keep one of them, or the \
             object's sender, alive until the receiver has loaded it",
            path.display()
        ))
    };
    let open = || match os::open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
        Err(error) => Err(system("open", path, error)),
    };
    loop {
        let gate = open()?;
        match os::claim_wait(&gate, Claim::Read, GATE_BYTE, 1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Err(Error::Interrupted);
            }
            other => other.map_err(|e| system("fcntl", path, e))?,
        }
        if !is_linked(&gate, path) {
            continue; // removed while we waited: look for it again
        }
        let segment = Segment::map(open()?, path)?;
        let space = Space::new(segment, hooks)?;
        let entered = match space.uuid == uuid {
            true => space.participant().map(drop),
            false => Err(gone()),
        };
        if let Err(error) = entered {
            space.discard();
            return Err(error);
        }
        space
            .segment
            .word(superblock::ABANDONED)
            .store(0, Ordering::Relaxed);
        return Ok(space); // the gate's lock goes with its descriptor: we are registered
    }
}

fn is_linked(file: &File, path: &Path) -> bool {
    let here = os::status_of(file).ok().filter(|status| status.links > 0);
    let there = os::status_at(path).ok();
    matches!((here, there), (Some(here), Some(there)) if here.identity == there.identity)
}

/// Removes the file of a private space that no process holds (but us, if `own` is our slot).
/// True: it is gone.
///
/// # Errors
/// `System`; callers that tidy up may ignore it.
///
/// # Crash
/// The gate's lock falls with us; the next one begins again.
pub fn remove_if_dead(path: &Path, own: Option<u64>) -> Result<bool> {
    let file = os::open(path).map_err(|e| system("open", path, e))?;
    let claimed = os::claim(&file, Claim::Write, GATE_BYTE, 1);
    if !claimed.map_err(|e| system("fcntl", path, e))? || !is_linked(&file, path) {
        return Ok(false);
    }
    let alive = any_alive(&file, own).map_err(|e| system("fcntl", path, e))?;
    if alive || tickets_pending(&file, path)? {
        return Ok(false);
    }
    os::unlink(path).map_err(|e| system("unlink", path, e))?;
    Ok(true)
}

/// Whether pickles of a dead space's objects may still be under way. Its superblock is read and
/// written as a file, and only believed as far as that: a deadline at most `GRACE` ahead.
fn tickets_pending(file: &File, path: &Path) -> Result<bool> {
    let read = |offset: u64| {
        let mut word = [0; 8];
        match os::read_at(file, &mut word, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0), // no space's file
            Err(error) => Err(system("pread", path, error)),
            Ok(()) => Ok(u64::from_ne_bytes(word)),
        }
    };
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

/// Removes the private spaces in `folder` that no process holds, and drafts left by the dead.
/// What cannot be looked at is left alone.
pub fn clean(folder: &Path) -> usize {
    let paths = os::entries(folder).unwrap_or_default();
    let ours = paths.into_iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == SUFFIX || extension == "new")
    });
    ours.filter(|path| matches!(remove_if_dead(path, None), Ok(true)))
        .count()
}
