//! How a space comes to be: whole, or not at all.

use super::ownership::Gate;
use super::place::{DRAFT, is_linked, private_path, require_local, system};
use crate::error::{Error, Result};
use crate::memory::layout::{self, GATE_BYTE, SLOTS, WORD, superblock};
use crate::memory::segment::Segment;
use crate::memory::superblock::{NAMED, PRIVATE};
use crate::os::{self, Claim};
use crate::seed::{Bug, seeded};
use crate::space::{Hooks, Space, at_once};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const SMALLEST_MAX: u64 = 64 << 30;
const LARGEST_MAX: u64 = 4 << 40;

/// A space to be made.
pub(super) struct Plan<'a> {
    pub kind: u64,
    pub path: &'a Path,
    /// Its name; empty if it has none.
    pub title: &'a str,
    /// The user's limit in bytes; 0: none.
    pub limit: u64,
}

fn random(path: &Path) -> Result<u128> {
    let mut bytes = [0; 16];
    os::random(&mut bytes).map_err(|e| system("getrandom", path, e))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Makes a private space, registered and linked in.
///
/// # Errors
/// `Full`, `Refused`, `System`; then nothing is left.
pub fn create(folder: &Path, hooks: Hooks) -> Result<Space> {
    create_limited(folder, 0, hooks)
}

/// As `create`, with a limit in bytes to what it may hold; 0: none.
///
/// # Errors
/// As `create`.
pub fn create_limited(folder: &Path, limit: u64, hooks: Hooks) -> Result<Space> {
    let uuid = random(folder)?;
    let plan = Plan {
        kind: PRIVATE,
        path: &private_path(folder, uuid),
        title: "",
        limit,
    };
    make(&plan, uuid, hooks)
}

/// Makes a space that is found by its path; None if another made it meanwhile.
///
/// # Errors
/// As `create`.
pub(super) fn create_at(plan: &Plan, hooks: Hooks) -> Result<Option<Space>> {
    match make(plan, random(plan.path)?, hooks) {
        Err(error) if is_taken(&error) => Ok(None),
        made => made.map(Some),
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(error, Error::System { call: "link", source, .. }
        if source.kind() == io::ErrorKind::AlreadyExists)
}

fn make(plan: &Plan, uuid: u128, hooks: Hooks) -> Result<Space> {
    let folder = folder_of(plan.path);
    let unnamed = os::open_unnamed(folder).map_err(|e| system("open", folder, e));
    match unnamed.and_then(|file| build(file, plan, None, uuid, hooks)) {
        // No O_TMPFILE here, or no /proc to link it by.
        Err(error @ Error::System { .. }) if !is_taken(&error) => create_draft(plan, uuid, hooks),
        made => made,
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| parent != &Path::new(""));
    parent.unwrap_or(Path::new("."))
}

/// Where a space is built whose file system has no unnamed files. Beside a file of the user's it
/// says whose it is: only who opens that looks for drafts there.
pub(super) fn draft_of(kind: u64, path: &Path, uuid: u128) -> PathBuf {
    let folder = folder_of(path);
    match (kind, path.file_name()) {
        (PRIVATE | NAMED, _) | (_, None) => folder.join(format!("{uuid:032x}.{DRAFT}")),
        (_, Some(name)) => folder.join(format!(".{}.{uuid:032x}.{DRAFT}", name.to_string_lossy())),
    }
}

/// Builds a space under a name that no attacher looks for. Cleaners see that it is being built
/// by the gate, which stays locked until it has its own name.
fn create_draft(plan: &Plan, uuid: u128, hooks: Hooks) -> Result<Space> {
    let draft = draft_of(plan.kind, plan.path, uuid);
    loop {
        // What cannot be made is named as the user named it.
        let file = os::open_new(&draft).map_err(|e| system("open", plan.path, e))?;
        let gate = match Gate::open(&draft) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // a cleaner came first
            gate => gate.map_err(|e| system("open", plan.path, e))?,
        };
        let locked = os::claim(&gate, Claim::Read, GATE_BYTE, 1);
        if !locked.map_err(|e| system("fcntl", plan.path, e))?
            || !is_linked(&gate, &draft)
            || !is_linked(&file, &draft)
        {
            continue; // a cleaner came first: the name is free again
        }
        let made = build(file, plan, Some(&draft), uuid, hooks);
        if made.is_err() {
            let _ = os::unlink(&draft);
        }
        return made;
    }
}

fn build(file: File, plan: &Plan, draft: Option<&Path>, uuid: u128, hooks: Hooks) -> Result<Space> {
    let path = plan.path;
    let here = draft.unwrap_or(path);
    let file_system = require_local(&file, path)?;
    // Whatever the umask left of it.
    os::set_mode(&file, 0o600).map_err(|e| system("fchmod", path, e))?;
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
    let identity = os::status_of(&file)
        .map_err(|e| system("fstat", path, e))?
        .identity;
    let (boot, title) = (os::boot_id(), plan.title.as_bytes());
    let titled = match title {
        [] => 0,
        title => title.len() as u64 | u64::from(crc32fast::hash(title)) << 32,
    };
    let words = [
        (superblock::MAGIC, layout::MAGIC),
        (superblock::VERSION, layout::VERSION),
        (superblock::LAYOUT_HASH, layout::layout_hash()),
        (superblock::UUID, uuid as u64),
        (superblock::UUID + WORD, (uuid >> 64) as u64),
        (superblock::KIND, plan.kind),
        (superblock::SLOTS, SLOTS),
        (superblock::MAX_SIZE, max),
        (superblock::DATA, data),
        (superblock::TITLED, titled),
        (superblock::SIZE, data),
        (superblock::SIZE_LIMIT, plan.limit),
        (superblock::DEVICE, identity.device),
        (superblock::INODE, identity.inode),
        (superblock::BOOT, boot as u64),
        (superblock::BOOT + WORD, (boot >> 64) as u64),
    ];
    write_superblock(&file, &words, title).map_err(|e| system("write", path, e))?;
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
    if !seeded(Bug::LinkBeforeRegister) {
        let participant = space.register(false, &at_once())?;
        space.install(Box::new(participant));
    }
    let linked = match draft {
        None => os::link_unnamed(file, path),
        Some(draft) => os::link(draft, path).and_then(|()| match os::unlink(draft) {
            // Who came in meanwhile took it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }),
    };
    linked.map_err(|e| system("link", path, e))?;
    if draft.is_some() && !is_linked(file, path) {
        return Err(Error::Refused(format!(
            "{}: another file was put in the place of the one made here: use a folder that nobody \
             else can write to",
            path.display()
        )));
    }
    space.segment.set_path(path);
    if seeded(Bug::LinkBeforeRegister) {
        let participant = space.register(false, &at_once())?;
        space.install(Box::new(participant));
    }
    Ok(())
}

/// Writes the immutable words, their checksum and the name with plain file writes: nobody maps it
/// yet.
fn write_superblock(file: &File, words: &[(u64, u64)], title: &[u8]) -> io::Result<()> {
    let mut page = [0u8; layout::PAGE as usize];
    for &(offset, value) in words {
        page[offset as usize..][..8].copy_from_slice(&value.to_ne_bytes());
    }
    page[superblock::TITLE as usize..][..title.len()].copy_from_slice(title);
    let crc = u64::from(crc32fast::hash(&page[..superblock::IMMUTABLE as usize]));
    page[superblock::CRC as usize..][..8].copy_from_slice(&crc.to_ne_bytes());
    os::write_at(file, &page, 0)
}
