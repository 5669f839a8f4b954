//! Which spaces there are, read as files: nothing is mapped, nobody registers.

use super::ownership::open_own;
use super::place::{DRAFT, SUFFIX, system, word_of};
use crate::error::Result;
use crate::memory::layout::{self, superblock};
use crate::os;
use crate::process::participant::any_alive;
use std::io;
use std::path::{Path, PathBuf};

/// A file in the folder, as far as it can be read without entering it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub path: PathBuf,
    /// The kind in its superblock; 0 if it is no space of this layout.
    pub kind: u64,
    pub uuid: u128,
    /// Its own name; empty if it has none.
    pub title: String,
    /// Whether a process holds it.
    pub alive: bool,
    /// Whether it is a draft: being built, or left by who died building it.
    pub draft: bool,
    /// Bytes that the file takes, holes not counted.
    pub bytes: u64,
    pub objects: u64,
    pub names: u64,
    pub tickets: u64,
}

/// What a file says of itself.
///
/// # Errors
/// `Refused` if it is another user's; `System` if it cannot be read.
pub fn read(path: &Path) -> Result<Listed> {
    let missing = || system("open", path, io::Error::from_raw_os_error(libc::ENOENT));
    let (file, status) = open_own(path)?.ok_or_else(missing)?;
    let alive = any_alive(&file, None).map_err(|e| system("fcntl", path, e))?;
    let word = |offset| word_of(&file, path, offset);
    let known = word(superblock::MAGIC)? == layout::MAGIC
        && word(superblock::VERSION)? == layout::VERSION
        && word(superblock::LAYOUT_HASH)? == layout::layout_hash();
    let when_known = |offset| if known { word(offset) } else { Ok(0) };
    let length = when_known(superblock::TITLED)? & 0xFFFF_FFFF;
    let mut title = vec![0; length.min(superblock::TITLE_ROOM) as usize];
    if os::read_at(&file, &mut title, superblock::TITLE).is_err() {
        title.clear();
    }
    let uuid = when_known(superblock::UUID)?;
    let upper = when_known(superblock::UUID + layout::WORD)?;
    Ok(Listed {
        path: path.to_owned(),
        kind: when_known(superblock::KIND)?,
        uuid: u128::from(uuid) | u128::from(upper) << 64,
        title: String::from_utf8_lossy(&title).into_owned(),
        alive,
        draft: path.extension().is_some_and(|extension| extension == DRAFT),
        bytes: status.allocated,
        objects: when_known(superblock::LIVE_OBJECTS)?,
        names: when_known(superblock::LIVE_NAMES)?,
        tickets: when_known(superblock::OPEN_TICKETS)?,
    })
}

/// The spaces of a folder, and the drafts; what cannot be read is left out.
///
/// # Errors
/// `System` if the folder itself cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Listed>> {
    let paths = os::entries(folder).map_err(|e| system("readdir", folder, e))?;
    let ours = paths.into_iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == SUFFIX || extension == DRAFT)
    });
    Ok(ours.filter_map(|path| read(&path).ok()).collect())
}
