//! What the file of a space says of it for good, read once and checked: this copy is used from then
//! on, whatever becomes of the bytes in the file.

use crate::error::{Result, corrupt};
use std::path::Path;

/// What a space is for. A private one goes with its last process.
pub const PRIVATE: u64 = 1;
/// Found by its name in the folder; goes when it is removed.
pub const NAMED: u64 = 2;
/// A file where the user says; goes when it is removed.
pub const DURABLE: u64 = 3;

#[derive(Clone, Debug, Default)]
pub struct Superblock {
    pub uuid: u128,
    pub kind: u64,
    pub max_size: u64,
    pub data: u64,
    /// Its own name; empty if it has none. None: it is not the one that was written.
    title: Option<String>,
}

impl Superblock {
    /// Whether it stays when its last process has ended.
    pub fn outlives_its_processes(&self) -> bool {
        self.kind == NAMED || self.kind == DURABLE
    }

    /// Its own name; empty if it has none.
    ///
    /// # Errors
    /// `Corrupt` if it is not the one that was written.
    pub fn title(&self, path: &Path) -> Result<&str> {
        self.title.as_deref().ok_or_else(|| {
            corrupt(format!(
                "{}: the name of this space is not the one that was written",
                path.display()
            ))
        })
    }
}

#[cfg(not(loom))]
mod read {
    use super::Superblock;
    use crate::error::{Error, Result, corrupt};
    use crate::memory::layout::{self, PAGE, WORD, superblock};
    use crate::os::{self, File};
    use std::io;
    use std::path::Path;

    impl Superblock {
        /// Reads it as a stranger's.
        ///
        /// # Errors
        /// `Layout` or `Corrupt` for a file that is no space of this layout; `System`.
        pub fn read(file: &File, path: &Path) -> Result<Superblock> {
            let system = |call, source| Error::System {
                call,
                path: path.to_owned(),
                source,
            };
            let name = path.display();
            let mut page = [0; PAGE as usize];
            match os::read_at(file, &mut page, 0) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let status = os::status_of(file).map_err(|e| system("fstat", e))?;
                    return Err(too_short(path, status.size));
                }
                done => done.map_err(|e| system("pread", e))?,
            }
            let word = |offset: u64| {
                let mut bytes = [0; WORD as usize];
                bytes.copy_from_slice(&page[offset as usize..][..WORD as usize]);
                u64::from_ne_bytes(bytes)
            };
            if word(superblock::MAGIC) != layout::MAGIC {
                return Err(Error::Layout(format!(
                    "{name}: not a courtyard segment (no magic)"
                )));
            }
            let (version, hash) = (word(superblock::VERSION), word(superblock::LAYOUT_HASH));
            if version != layout::VERSION || hash != layout::layout_hash() {
                return Err(Error::Layout(format!(
                    "{name}: layout {version}/{hash:x}, this courtyard reads {}/{:x}; \
                     let its processes end, or use the courtyard version that made it",
                    layout::VERSION,
                    layout::layout_hash()
                )));
            }
            let immutable = &page[..superblock::IMMUTABLE as usize];
            if word(superblock::CRC) != u64::from(crc32fast::hash(immutable)) {
                return Err(corrupt(format!(
                    "{name}: the superblock's checksum is wrong"
                )));
            }
            let (data, max_size) = (word(superblock::DATA), word(superblock::MAX_SIZE));
            if word(superblock::SLOTS) != layout::SLOTS || data != layout::data_start(max_size) {
                return Err(corrupt(format!(
                    "{name}: the superblock contradicts itself"
                )));
            }
            let uuid = word(superblock::UUID);
            let upper = word(superblock::UUID + WORD);
            Ok(Superblock {
                uuid: u128::from(uuid) | u128::from(upper) << 64,
                kind: word(superblock::KIND),
                max_size,
                data,
                title: title(&page, word(superblock::TITLED)),
            })
        }
    }

    /// What is said of a file that cannot be a space.
    pub fn too_short(path: &Path, length: u64) -> Error {
        Error::Layout(format!(
            "{}: not a courtyard segment: {length} bytes, expected at least {}",
            path.display(),
            layout::SLOT_RECORDS
        ))
    }

    fn title(page: &[u8], titled: u64) -> Option<String> {
        let length = titled & 0xFFFF_FFFF;
        if length > superblock::TITLE_ROOM {
            return None;
        }
        let bytes = &page[superblock::TITLE as usize..][..length as usize];
        if length > 0 && u64::from(crc32fast::hash(bytes)) != titled >> 32 {
            return None;
        }
        String::from_utf8(bytes.to_vec()).ok()
    }
}

#[cfg(not(loom))]
pub use read::too_short;
