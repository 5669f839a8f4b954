//! Folders and files that are not what they should be: a clear error, no crash, no hang.

mod stage;

use courtyard_core::cell::{self, BYTES, MUTEX, SCALAR, STORED};
use courtyard_core::check;
use courtyard_core::error::{Error, Result};
use courtyard_core::layout::{self, superblock};
use courtyard_core::lock::Stood;
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, directory, folder};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use stage::{End, Folder, add, alone, attach, held, make, me, put, spawn, write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

/// How many files are scribbled on.
const TURNS: usize = 1000;

#[test]
fn folders_that_are_not_ours_alone() {
    let _alone = alone();
    let home = Folder::new();
    let path = home.0.join("spaces");
    assert_eq!(folder::open(Some(&path)).unwrap(), path);
    assert_eq!(folder::open(Some(&path)).unwrap(), path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let refused = |path| matches!(folder::open(Some(path)), Err(Error::Refused(_)));

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).unwrap();
    assert!(refused(&path));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    let link = home.0.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refused(&link));
    let file = home.0.join("file");
    std::fs::write(&file, "text").unwrap();
    assert!(refused(&file));
    let missing = home.0.join("missing").join("deeper");
    assert!(matches!(
        folder::open(Some(&missing)),
        Err(Error::System { .. })
    ));
}

#[test]
fn only_dead_spaces_are_cleaned() {
    let _alone = alone();
    let folder = Folder::new();
    let (alive, dead) = (folder.space(), folder.space());
    let (waiting, other) = (folder.space(), folder.space());
    // Pickles may still be under way to the third.
    let made = make(&waiting, SCALAR, 0);
    directory::send(&waiting, me(&waiting), &mut stage_patient(), made.object).unwrap();
    let kept = [alive.segment.path(), waiting.segment.path()];
    let second = attach(&other);
    let paths = [dead.segment.path(), other.segment.path()];
    for space in [dead, waiting, other] {
        space.discard();
    }
    std::fs::write(folder.0.join("notes.txt"), "not ours").unwrap();
    assert_eq!(folder::clean(&folder.0), 1);
    assert!(!paths[0].exists() && paths[1].exists());
    second.discard();
    assert_eq!(folder::clean(&folder.0), 1);
    assert!(kept.iter().all(|path| path.exists()));
    assert!(folder.0.join("notes.txt").exists());
    // Gone for who comes too late.
    let late = folder::attach(&paths[0], 1, HOOKS);
    assert!(matches!(late, Err(Error::NotFound(_))));
    // Who comes in time revives the one that waits; a minute later it would have gone.
    let long_ago = 1u64.to_ne_bytes();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&kept[1])
        .unwrap();
    file.write_all_at(&long_ago, superblock::ABANDONED).unwrap();
    assert_eq!(folder::clean(&folder.0), 1);
    assert_eq!(folder.files().len(), 2);
}

fn stage_patient() -> impl FnMut(&mut (dyn FnMut() -> Result<Stood> + Send)) -> Result<()> {
    courtyard_core::space::patient
}

/// The file of a space with some of everything, that nobody has open.
struct Image {
    path: PathBuf,
    uuid: u128,
    bytes: Vec<u8>,
    /// Its pages that are not all zero.
    pages: Vec<usize>,
}

impl Image {
    fn new(folder: &Folder) -> Image {
        let space = folder.space();
        let stored = make(&space, STORED, 0);
        put(&space, stored, &[1; 50_000]);
        put(&space, stored, &[1; 300]);
        let bytes = make(&space, BYTES, 3000);
        write(&space, bytes, &[1; 3000]);
        for _ in 0..5 {
            add(&space, make(&space, SCALAR, 0), 1);
        }
        make(&space, MUTEX, 0);
        make(&space, BYTES, 50_000);
        directory::send(&space, me(&space), &mut stage_patient(), bytes.object).unwrap();
        held(&space);
        let (path, uuid) = (space.segment.path(), space.uuid);
        space.discard();
        let bytes = std::fs::read(&path).unwrap();
        let empty = [0; 4096];
        let pages = (0..bytes.len() / 4096)
            .filter(|page| bytes[page * 4096..][..4096] != empty)
            .collect();
        Image {
            path,
            uuid,
            bytes,
            pages,
        }
    }

    fn word(&self, offset: u64) -> u64 {
        u64::from_ne_bytes(self.bytes[offset as usize..][..8].try_into().unwrap())
    }

    /// Writes the file anew with these words changed, and holes where it is zero.
    fn write(&self, words: &[(u64, u64)]) {
        let file = std::fs::File::create(&self.path).unwrap();
        file.set_len(self.bytes.len() as u64).unwrap();
        for at in self.pages.iter().map(|page| page * 4096) {
            file.write_all_at(&self.bytes[at..][..4096], at as u64)
                .unwrap();
        }
        for (offset, word) in words {
            file.write_all_at(&word.to_ne_bytes(), *offset).unwrap();
        }
    }
}

#[test]
fn files_that_are_no_segments() {
    let _alone = alone();
    let folder = Folder::new();
    let image = Image::new(&folder);
    let (path, length) = (&image.path, image.bytes.len() as u64);
    let open = || folder::attach(path, image.uuid, HOOKS).map(Space::discard);
    let is_refused = || matches!(open(), Err(Error::Layout(_) | Error::Corrupt(_)));
    image.write(&[]);
    assert!(open().is_ok());
    for shorter in [
        0,
        1,
        4096,
        20_480,
        1 << 20,
        length / 2,
        length - 4096,
        length - 1,
    ] {
        image.write(&[]);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(shorter).unwrap();
        assert!(is_refused(), "{shorter} bytes");
        file.set_len(length).unwrap();
    }
    std::fs::write(path, vec![0; 1 << 20]).unwrap();
    assert!(is_refused());
    std::fs::write(path, b"a text file\n".repeat(10_000)).unwrap();
    assert!(is_refused());
    for (offset, word) in [
        (superblock::VERSION, layout::VERSION + 1),
        (superblock::LAYOUT_HASH, 1),
    ] {
        image.write(&[(offset, word)]);
        assert!(matches!(open(), Err(Error::Layout(_))));
    }
    for size in [0, 1, 4096, length + 4096, u64::MAX, u64::MAX / 4096 * 4096] {
        image.write(&[(superblock::SIZE, size)]);
        assert!(is_refused(), "size {size}");
    }
    for bit in 0..superblock::IMMUTABLE * 8 + 64 {
        let offset = bit / 64 * 8;
        image.write(&[(offset, image.word(offset) ^ 1 << (bit % 64))]);
        assert!(is_refused(), "bit {bit}");
    }
    // Another space under this name; a link to a good one.
    image.write(&[]);
    assert!(folder::attach(path, image.uuid + 1, HOOKS).is_err());
    let link = folder.0.join("link.cy1");
    std::os::unix::fs::symlink(path, &link).unwrap();
    assert!(folder::attach(&link, image.uuid, HOOKS).is_err());
}

/// Waits for locks a second in all: in a scribbled file they may name the living.
fn brief() -> impl FnMut(&mut (dyn FnMut() -> Result<Stood> + Send)) -> Result<()> {
    let mut turns = 0;
    move |slice: &mut (dyn FnMut() -> Result<Stood> + Send)| {
        turns += 1;
        if turns > 10 {
            return Err(Error::Interrupted);
        }
        slice().map(drop)
    }
}

/// Opens a scribbled file and uses what is there; errors are fine.
fn explore(path: &std::path::Path, uuid: u128) -> Result<()> {
    let space = folder::attach(path, uuid, HOOKS)?;
    let me = space.participant()?;
    let brief = &mut brief();
    let checked = check::check(&space, brief);
    for row in 0..12 {
        for serial in 1..40 {
            let object = courtyard_core::roster::ObjectId { row, serial };
            let ticket = directory::Ticket { row: 0, id: 1 };
            let got = directory::receive(&space, me, brief, object, ticket);
            let Ok(member) = got else { continue };
            if let Ok((base, kind, length)) = cell::open(&space.segment, object) {
                let writer = cell::Writer {
                    cell: base,
                    guarded: true,
                    thread: 1,
                };
                let mut bytes = vec![0; length.min(5000) as usize];
                let _ = cell::read_bytes(&space, me, brief, writer, &mut bytes);
                if kind == STORED {
                    let _ = cell::load(&space, me, brief, writer);
                    let fresh = cell::Fresh::Word(1);
                    let _ = cell::store(&space, me, brief, writer, &fresh, None);
                } else if kind == BYTES {
                    let text = vec![3; bytes.len()];
                    let _ = cell::write_bytes(&space, me, brief, writer, 0, &text, None);
                }
            }
            let _ = directory::leave(&space, me, brief, member);
        }
    }
    for length in [0, 500, 40_000] {
        let (_, row) = cell::create(&space, me, brief, BYTES, length, |_| {})?;
        directory::leave(&space, me, brief, row)?;
    }
    checked.map(drop)
}

#[test]
fn scribbled_files() {
    let _alone = alone();
    let folder = Folder::new();
    let image = Image::new(&folder);
    assert!(explore(&image.path, image.uuid).is_ok());
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let data = image.word(superblock::DATA);
    let used = data + image.word(superblock::FRONTIER) * layout::UNIT;
    let record = layout::thread_record(0, 1);
    // Where damage does most: the mutable superblock, slots, one record, bitmaps, the data.
    let places = [
        (superblock::SIZE, layout::PAGE - superblock::SIZE),
        (layout::SLOT_STATES, 64),
        (layout::slot_record(0), layout::PAGE),
        (record, layout::PAGE),
        (layout::BITMAPS, 64),
        (data, used - data),
    ];
    for turn in 0..TURNS {
        let mut words = Vec::new();
        let (start, length) = places[turn % places.len()];
        for _ in 0..1 + random.next_u32() % 8 {
            // A word that means something more often than one that does not.
            let mut at = start;
            for _ in 0..8 {
                at = start + random.next_u64() % length / 8 * 8;
                if image.word(at) != 0 {
                    break;
                }
            }
            let old = image.word(at);
            let word = match random.next_u32() % 6 {
                0 => old ^ 1 << (random.next_u32() % 64),
                1 => random.next_u64(),
                2 => 0,
                3 => data + random.next_u64() % (used - data) / 8 * 8,
                4 => old.wrapping_add(8),
                _ => u64::MAX,
            };
            words.push((at, word));
        }
        if turn % places.len() == 3 {
            // A record that was committed, for the reaper to replay.
            let entries = 1 + random.next_u64() % 64;
            words.push((record, entries | (random.next_u64() % 5) << 16));
        }
        image.write(&words);
        let child = spawn(|| {
            if let Err(error) = explore(&image.path, image.uuid) {
                assert!(!error.to_string().is_empty());
            }
        });
        assert_eq!(child.wait(), End::Done, "turn {turn}: {words:x?}");
    }
}
