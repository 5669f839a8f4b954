//! A shard of a table: who looks a key up without a lock finds what was stored under it, whoever
//! dies while he stores.
//!
//! The writer runs `table::store` as it is: a new entry, and another value in an old one. The
//! reader runs `table::find`. The writer dies before each of its stores; the reader meets that, and
//! reaps him.
#![cfg(loom)]

use courtyard_core::cell::{self, Writer};
use courtyard_core::layout::{self, LINE, UNIT, WORD, block, kind, slot, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::operation;
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::{Hooks, Space, patient};
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Item, Key, SHARDS, Table, When};
use courtyard_core::value::{Found, Fresh};
use loom::thread;
use std::sync::Arc;

const CELL: u64 = DATA + UNIT + block::SMALL;
const STORAGE: u64 = DATA + 2 * UNIT + LINE;
/// log2 of the slots of its index; three entries have room.
const LOG: u64 = 2;
const OLD: u64 = DATA + 3 * UNIT + LINE;
const NEW: u64 = OLD + LINE;
/// Words of an entry whose key is one word.
const ENTRY_WORDS: u64 = 5;
const TABLE: Table = Writer {
    cell: CELL,
    guarded: true,
    thread: 1,
};

fn key(bytes: &[u8]) -> Key<'_> {
    Key { tag: 1, bytes }
}

/// Two keys of one shard.
fn keys() -> [[u8; 1]; 2] {
    let shard = |byte: u8| key(&[byte]).hash() % SHARDS;
    let first = b'a';
    let other = (b'b'..=b'z').find(|&byte| shard(byte) == shard(first));
    [[first], [other.expect("a letter of the same shard")]]
}

/// A table of one entry: the first key, and the value 1.
fn space() -> Arc<Space> {
    let at = |from: u64, words: u64| (0..words).map(move |word| from + word * WORD);
    let own = (0..2).flat_map(|slot| {
        let magazines = (0..slot::RECORD_COUNT).flat_map(move |index| {
            let magazine = operation::magazine(layout::thread_record(slot, index), 0);
            [magazine, magazine + WORD]
        });
        Segment::slot(slot, 6).chain(magazines)
    });
    let words = own
        .chain(at(CELL, (cell::PAYLOAD + table::LENGTH) / WORD))
        .chain(at(STORAGE + block::SMALL, 8))
        .chain(at(OLD, ENTRY_WORDS))
        .chain(at(NEW, ENTRY_WORDS))
        .chain([
            superblock::UUID,
            superblock::UUID + WORD,
            superblock::BELL,
            superblock::NEXT_SERIAL,
        ]);
    let segment = Segment::new(words);
    let set = |word: u64, value: u64| segment.word(word).store(value, Ordering::Relaxed);
    let first = keys()[0];
    let hash = key(&first).hash();
    let shard = cell::payload(CELL) + hash % SHARDS * LINE;
    set(shard + 16, STORAGE | LOG);
    set(shard + 24, 1);
    set(shard + 32, 1);
    let index = STORAGE + block::SMALL + WORD;
    let slots = 1 << LOG;
    set(index + (hash >> 3) % slots * WORD, OLD << 16 | hash >> 48);
    set(index + slots * WORD, OLD);
    set(OLD, 24 | kind::ENTRY << 56);
    set(OLD + 16, 1 << 3 | 1);
    set(OLD + 24, 1 | 1 << 26);
    set(OLD + 32, u64::from(first[0]));
    let hooks = Hooks {
        sweep: |_, _, _| Ok(()),
        dismantle: |_, _, _| Ok(()),
        crumble: |_, _, _| Ok(()),
        settle: |_, _, _, _| Ok(()),
        blocks: |_, _| Ok(courtyard_core::space::Blocks::default()),
        adopt: |_| Ok(()),
    };
    Arc::new(Space::new(segment, hooks).unwrap())
}

fn join(space: &Space, slot: u64) -> Participant {
    let claim = || {
        Participant::claim(&space.segment, slot, false)
            .unwrap()
            .unwrap()
    };
    space.segment.live(slot, IMMORTAL, claim).unwrap()
}

/// Under the second key, which is new, or under the first.
fn store(space: &Space, participant: &Participant, new: bool) {
    let names = keys();
    let item = Item {
        key: key(&names[usize::from(new)]),
        original: None,
        value: Fresh::Word(2 << 3 | 1),
    };
    let stored = table::store(space, participant, &mut patient, TABLE, &item, When::Always);
    assert!(stored.unwrap());
}

fn find(space: &Space, participant: &Participant, which: usize) -> Option<u64> {
    let (names, mut buffer) = (keys(), Vec::new());
    let name = key(&names[which]);
    let found = table::find(space, participant, &mut patient, TABLE, &name, &mut buffer);
    found.unwrap().0.map(|found| match found {
        Found::Word(word) if word & 7 == 1 => word >> 3,
        _ => panic!("a value that nobody stored"),
    })
}

/// One stores, and may die; the other looks both keys up.
fn meet(new: bool, stores: u64) {
    let space = space();
    let segment = &space.segment;
    let [writer, reader] = [join(&space, 0), join(&space, 1)];
    for index in 0..slot::RECORD_COUNT {
        let magazine = operation::magazine(layout::thread_record(0, index), 0);
        segment.word(magazine).store(1, Ordering::Relaxed);
        segment.word(magazine + WORD).store(NEW, Ordering::Relaxed);
    }
    let there = space.clone();
    let storing = thread::spawn(move || {
        let act = || store(&there, &writer, new);
        there.segment.live(0, stores, act).is_some()
    });
    let reader = Arc::new(reader);
    let (there, beside) = (space.clone(), reader.clone());
    let changed = usize::from(new);
    let looking = thread::spawn(move || {
        let look = || find(&there, &beside, changed);
        there.segment.live(1, IMMORTAL, look).unwrap()
    });
    let look = |which| {
        segment
            .live(1, IMMORTAL, || find(&space, &reader, which))
            .unwrap()
    };
    let is_one_of = |found: [Option<u64>; 2]| match new {
        true => found[0] == Some(1) && matches!(found[1], None | Some(2)),
        false => matches!(found[0], Some(1 | 2)) && found[1].is_none(),
    };
    let during = looking.join().unwrap();
    let lives = storing.join().unwrap();
    if !lives {
        recover::reap_all(segment).unwrap();
    }
    let after = [look(0), look(1)];
    assert!(is_one_of(after), "a value that nobody stored: {after:?}");
    let (before, done) = (if new { None } else { Some(1) }, Some(2));
    assert!(
        during == before || during == done,
        "a value that nobody stored: {during:?}"
    );
    assert!(
        during == before || after[changed] == done,
        "a value that was found is lost"
    );
    assert!(!lives || after[changed] == done, "a value is lost");
    let count = table::count(segment, CELL);
    assert_eq!(count, 1 + u64::from(after[1].is_some()), "the count");
}

#[test]
fn a_reader_and_a_writer() {
    for new in [false, true] {
        mortal::explore("a reader and a writer", 3, move || meet(new, IMMORTAL));
    }
}

#[test]
fn the_writer_dies() {
    for new in [false, true] {
        let places = mortal::every_death(|stores| {
            let name = format!("the writer dies after {stores} stores");
            mortal::explore(&name, 1, move || meet(new, stores));
        });
        assert!(places > 10, "{places} places to die");
    }
}

#[test]
#[should_panic(expected = "a value that nobody stored")]
fn catches_a_record_without_a_sequence() {
    let _planted = seed::plant(seed::Bug::SequenceLeftOut);
    mortal::explore("a record without a sequence", 3, || meet(true, IMMORTAL));
}
