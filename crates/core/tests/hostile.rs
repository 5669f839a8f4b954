//! Folders and files that are not what they should be, and words that a peer scribbled on: a clear
//! error, no crash, no hang. What chance finds there, `crates/fuzz` looks for.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::layout::{self, slot, superblock};
use courtyard_core::name::{self, Name};
use courtyard_core::object::{self, BYTES, MUTEX, SCALAR, STORED};
use courtyard_core::queue::{self, Order};
use courtyard_core::space::{Caller, Slice, Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, directory, folder, inspect, list, table};
use stage::{Folder, add, alone, attach, caller, census, held, leave, make, me, put, write};
use std::cell::Cell;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

#[test]
fn folders_that_are_not_ours_alone() {
    let _alone = alone();
    let home = Folder::new();
    let path = home.0.join("spaces");
    assert_eq!(folder::open(Some(&path)).unwrap(), path);
    assert_eq!(folder::open(Some(&path)).unwrap(), path);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let refused = |path: &PathBuf| matches!(folder::open(Some(path)), Err(Error::Refused(_)));

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).unwrap();
    assert!(refused(&path));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    let link = home.0.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refused(&link));
    let file = home.0.join("file");
    std::fs::write(&file, "text").unwrap();
    assert!(refused(&file));
    // A folder of another user: the system's own, unless we are that user and may give one away.
    if courtyard_core::os::effective_user() == 0 {
        let given = home.0.join("given");
        assert!(folder::open(Some(&given)).is_ok());
        std::os::unix::fs::chown(&given, Some(65534), None).unwrap();
        assert!(refused(&given));
    } else {
        assert!(refused(&PathBuf::from("/")));
    }
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
    directory::send(caller(&waiting), made.id).unwrap();
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
        directory::send(caller(&space), bytes.id).unwrap();
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

/// A size beyond the file's end leads to pages that are SIGBUS to touch.
#[test]
fn a_size_that_was_scribbled_on() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (segment, length) = (&space.segment, space.segment.size());
    for size in [length + 4096, u64::MAX, segment.window(), 0] {
        set(&space, superblock::SIZE, size);
        assert!(segment.check_range(length - 8, 8).is_ok(), "{size:#x}");
        let beyond = segment.check_range(length, 8);
        assert!(matches!(beyond, Err(Error::Corrupt(_))), "{size:#x}");
        assert!(segment.find(length).is_none() && segment.find(1).is_none());
        assert_eq!(segment.size(), length);
    }
    set(&space, superblock::SIZE, length);
    census(&space);
}

#[test]
fn a_chunk_that_is_none() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (data, length) = (space.segment.data(), space.segment.size());
    let made = make(&space, SCALAR, 0);
    let partial = superblock::PARTIAL + 12 * 8; // a class not used so far
    for listed in [
        data,
        data + 8,
        length - layout::UNIT,
        length - 8,
        length,
        8,
        1,
    ] {
        set(&space, partial, listed);
        let made = stage::try_make(&space, BYTES, layout::CLASSES[12] - 100);
        assert!(matches!(made, Err(Error::Corrupt(_))), "{listed:#x}");
    }
    // What looks for empty chunks follows the same list, also out of the segment.
    for listed in [
        data,
        8,
        1,
        length - 8,
        length,
        length + (1 << 40),
        u64::MAX - 7,
    ] {
        set(&space, partial, listed);
        let trimmed = space.trim(&unlimited);
        assert!(matches!(trimmed, Err(Error::Corrupt(_))), "{listed:#x}");
    }
    set(&space, partial, 0);
    leave(&space, make(&space, BYTES, layout::CLASSES[12] - 100));
    leave(&space, made);
    census(&space);
}

/// A block at hand that is none.
#[test]
fn a_magazine_that_was_scribbled_on() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    leave(&space, make(&space, BYTES, 500));
    let class = courtyard_core::inside::operation::class_for(548).unwrap();
    let magazine = |index| {
        let record = layout::thread_record(me(&space).me.slot, index);
        courtyard_core::inside::operation::magazine(record, class)
    };
    let stock = |index| space.segment.word(magazine(index)).load(Ordering::Relaxed);
    let index = (0..8).find(|&index| stock(index) > 0).unwrap();
    let top = magazine(index) + stock(index) * 8;
    let block = space.segment.word(top).load(Ordering::Relaxed);
    for wrong in [0, 8, 1, space.segment.size(), u64::MAX] {
        set(&space, top, wrong);
        let made = stage::try_make(&space, BYTES, 500);
        assert!(matches!(made, Err(Error::Corrupt(_))), "{wrong:#x}");
    }
    set(&space, top, block);
    census(&space);
}

/// Damage may leave a sequence odd with nobody at work: a reader doesn't wait for long.
#[test]
fn a_sequence_that_stays_odd() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 100);
    write(&space, made, &[4; 100]);
    set(&space, made.base + object::SEQUENCE, 7);
    let (waits, mut bytes) = (Cell::new(0), [0; 100]);
    let writer = stage::writer(made);
    let counted = |slice: Slice| {
        waits.set(waits.get() + 1);
        slice(courtyard_core::lock::PROBE).map(drop)
    };
    object::read_bytes(
        Caller::new(&space, me(&space), &counted),
        writer,
        &mut bytes,
    )
    .unwrap();
    assert_eq!(bytes, [4; 100]);
    assert!(waits.get() <= 20, "{waits:?}");
}

/// What makes an object seem large, of which only a part is looked at then: its figures need neither be
/// right nor take long.
#[test]
fn figures_of_counts_that_were_scribbled_on() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = [
        table::create(caller(&space)),
        list::create(caller(&space), None),
        queue::create(caller(&space), 0, Order::Fifo),
    ];
    let objects = made.map(|made| made.unwrap().0);
    for id in objects {
        let (object, _, length) = object::open(&space.segment, id).unwrap();
        let words = (object + object::DATA..object::payload(object) + length).step_by(8);
        let before = words
            .clone()
            .map(|at| space.segment.word(at).load(Ordering::Relaxed));
        let before: Vec<u64> = before.collect();
        let block = object.0 / layout::UNIT * layout::UNIT;
        // One word alone, and all from the first up to it.
        for wrong in [1, 5000, 1 << 32, block, block + 8, object.0, u64::MAX] {
            for first in [0, words.clone().count()] {
                for (index, at) in words.clone().enumerate() {
                    set(&space, at, wrong);
                    let seen = inspect::view(&space, &unlimited, Some(id));
                    assert_eq!(seen.unwrap().objects.len(), 1);
                    if index < first {
                        set(&space, at, before[index]);
                    }
                }
                for (at, &word) in words.clone().zip(&before) {
                    set(&space, at, word);
                }
            }
        }
    }
    census(&space);
}

#[test]
fn names_and_waits_with_anything_in_them() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let (id, object) = (made.id, made.base);
    let slot = me(&space).me.slot;
    let record = layout::slot_record(slot);
    let rows = |from, count| (from..from + count).step_by(8).map(|at| record + at);
    let waits = rows(slot::WAITS, slot::WAIT_ROWS * slot::WAIT_ROW);
    let names = rows(slot::NAMES, slot::NAME_ROWS * slot::NAME_ROW);
    for wrong in [
        1,
        1 << 31,
        1 << 63,
        object.0,
        u64::MAX,
        0x80_FF_C3_28_41_FE_00_C3,
    ] {
        for at in waits.clone().chain(names.clone()) {
            set(&space, at, wrong);
        }
        for serial in [0, 1, 1 << 31, u32::MAX] {
            let name = name::read(&space.segment, slot, serial);
            assert!(name.is_none_or(|name| name.text().is_none_or(|text| text.len() <= 3 * 56)));
        }
        let seen = inspect::view(&space, &unlimited, Some(id)).unwrap();
        assert!(seen.objects[0].waits.len() <= slot::WAIT_ROWS as usize);
        let name = Name::new("a name");
        name::note(&space.segment, me(&space), 3, &name);
        let found = name::read(&space.segment, slot, 3);
        // Where a row says that it is being written, it stays so.
        assert_eq!(found, (wrong >> 63 == 0).then_some(name));
    }
}

#[test]
fn slots_in_no_state() {
    let _alone = alone();
    let folder = Folder::new();
    let image = Image::new(&folder);
    let words: Vec<_> = (0..layout::SLOTS)
        .map(|slot| (layout::slot_state(slot), 3))
        .collect();
    image.write(&words);
    let opened = folder::attach(&image.path, image.uuid, HOOKS).map(Space::discard);
    assert!(matches!(opened, Err(Error::Corrupt(_))));
}

fn set(space: &Space, word: u64, value: u64) {
    space.segment.word(word).store(value, Ordering::Relaxed);
}
