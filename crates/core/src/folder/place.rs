//! Where spaces are: a folder of segment files for one user, or a file where the user says.
//!
//! A space is built in an unnamed file and linked in whole once its creator's liveness is
//! locked. An attacher holds the gate's lock until it is registered, one of a space that outlives
//! its processes alone; who removes a file holds it exclusively and finds nobody registered. So
//! nobody meets a space half born or gone, and of those who come after all others ended, one is
//! first and alone.

use crate::error::{Error, Result};
use crate::os;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const SUFFIX: &str = "cy1";
/// Of a file that is being built, where the file system has no unnamed ones.
pub(super) const DRAFT: &str = "new";

/// File systems whose locks or mappings are not shared memory: NFS, SMB, CIFS, SMB2, FUSE, 9p.
pub(super) const REFUSED: [u64; 6] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x0102_1997,
];

pub(super) fn system(call: &'static str, path: &Path, source: io::Error) -> Error {
    Error::System {
        call,
        path: path.to_owned(),
        source,
    }
}

/// Refuses a file system that is not of this machine's memory or disks.
pub(super) fn require_local(file: &os::File, path: &Path) -> Result<os::FileSystem> {
    let found = os::file_system(file).map_err(|e| system("fstatfs", path, e))?;
    if REFUSED.contains(&found.magic) {
        return Err(Error::Refused(format!(
            "{}: a network or user-space file system (type {:#x}) cannot hold shared memory; set \
             COURTYARD_DIR to a local one",
            path.display(),
            found.magic
        )));
    }
    Ok(found)
}

/// The folder of this user's spaces, made and examined: `chosen`, or one in /dev/shm, or where
/// there is none, in `$XDG_RUNTIME_DIR` or the temporary folder.
///
/// # Errors
/// `Refused` if it is not ours alone; `System`.
pub fn open(chosen: Option<&Path>) -> Result<PathBuf> {
    let user = os::effective_user();
    if let Some(path) = chosen {
        return make(path, user).map(|()| path.to_owned());
    }
    // A relative path would lead elsewhere after a chdir, and in other processes.
    let or_root = |path: PathBuf| match path.is_absolute() {
        true => path,
        false => PathBuf::from("/tmp"),
    };
    let name = format!("courtyard-{user}");
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| Path::new(path).is_absolute());
    let parents = [
        Some(PathBuf::from(SHARED_MEMORY)),
        runtime.map(PathBuf::from),
        Some(or_root(std::env::temp_dir())),
    ];
    let mut failure = None;
    for path in parents.into_iter().flatten().map(|path| path.join(&name)) {
        match make(&path, user) {
            Ok(()) => return Ok(path),
            Err(error @ Error::Refused(_)) => return Err(error),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::Refused("there is no folder for shared memory".into())))
}

/// The file system that `open` uses if it is there.
pub const SHARED_MEMORY: &str = "/dev/shm";

pub(super) fn make(path: &Path, user: u32) -> Result<()> {
    let made = match os::make_folder(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(system(not_made(&error), path, error));
        }
        made => made.is_ok(),
    };
    let refuse = |found: String, advice: &str| {
        Err(Error::Refused(format!(
            "{}: {found}; expected a folder of user {user} with mode 0700: {advice}, or set \
             COURTYARD_DIR to another",
            path.display()
        )))
    };
    let require_ours = |found: &os::Status| {
        if found.owner != user {
            return refuse(format!("owned by user {}", found.owner), "run as that user");
        }
        if found.mode & 0o777 != 0o700 {
            let advice = format!("run chmod 700 {}", path.display());
            return refuse(format!("mode {:04o}", found.mode), &advice);
        }
        Ok(())
    };
    // One folder from here on, whatever its path leads to by then.
    let folder = match os::open_folder(path) {
        Ok(folder) => folder,
        Err(error) => {
            if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) {
                return refuse("not a folder".into(), "move it away");
            }
            if let (Some(libc::EACCES), Ok(found)) = (error.raw_os_error(), os::status_at(path)) {
                require_ours(&found)?;
            }
            return Err(system("open", path, error));
        }
    };
    let status = || os::status_of(&folder).map_err(|e| system("stat", path, e));
    let mut found = status()?;
    // A umask may have taken bits away: from us, or from whoever made it a moment ago.
    if found.owner == user && (made || found.mode == 0) && found.mode != 0o700 {
        let set = os::set_mode_of_folder(&folder, 0o700);
        if found.mode & 0o777 != 0o700 {
            set.map_err(|e| system("chmod", path, e))?;
        }
        found = status()?;
    }
    require_ours(&found)
}

/// What a folder that could not be made failed at, and what to do.
pub(super) fn not_made(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOENT) => {
            "mkdir in a folder that does not exist (make that one, or set COURTYARD_DIR to another)"
        }
        Some(libc::ENOTDIR) => {
            "mkdir in what is not a folder (set COURTYARD_DIR to one that can be made)"
        }
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => {
            "mkdir where this user may not write (make it with mode 0700, or set COURTYARD_DIR to \
             another)"
        }
        _ => "mkdir",
    }
}

/// The file of a private space.
pub fn private_path(folder: &Path, uuid: u128) -> PathBuf {
    folder.join(format!("{uuid:032x}.{SUFFIX}"))
}

pub(super) fn is_linked(file: &os::File, path: &Path) -> bool {
    let here = os::status_of(file).ok().filter(|status| status.links > 0);
    let there = os::status_at(path).ok();
    matches!((here, there), (Some(here), Some(there)) if here.identity == there.identity)
}

/// A word of a superblock, read as a file: 0 if it is no space's.
pub(super) fn word_of(file: &os::File, path: &Path, offset: u64) -> Result<u64> {
    let mut word = [0; 8];
    match os::read_at(file, &mut word, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(system("pread", path, error)),
        Ok(()) => Ok(u64::from_ne_bytes(word)),
    }
}
