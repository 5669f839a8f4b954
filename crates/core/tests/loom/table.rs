//! A shard of a table: who looks a key up without a lock finds what was stored under it, whoever
//! dies while he stores, grows the index, or takes out.
//!
//! The writer runs `table::store` and `table::remove` as they are. The reader runs `table::find`. The
//! writer dies before each of its stores; the reader meets that, and reaps him.

use crate::process::{self, caller, words};
use courtyard_core::inside::operation::{self, class_for};
use courtyard_core::layout::{self, LINE, UNIT, WORD, block, chunk, kind, slot, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::object::{self, Writer};
use courtyard_core::offset::Object;
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, End, Item, Key, SHARDS, Table, Want, When};
use courtyard_core::value::{Found, NewValue};
use std::sync::Arc;

pub const OBJECT: Object = Object(DATA + UNIT + block::SMALL);
/// The block of index and order: four slots, of which three entries have room.
const STORAGE: u64 = DATA + 2 * UNIT + LINE;
const SLOTS: u64 = 4;
const ROOM: u64 = 3;
/// And what it grows to.
const LARGER: u64 = DATA + 3 * UNIT + LINE;
const LARGER_LENGTH: u64 = (1 + 8 + 7) * WORD;
const OLD: u64 = DATA + 4 * UNIT + LINE;
const NEW: u64 = OLD + LINE;
/// Words of an entry whose key is one word.
const ENTRY_WORDS: u64 = 5;
pub const TABLE: Table = Writer {
    object: OBJECT,
    guarded: true,
    thread: 1,
};

/// What the writer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Stores another value under the first key.
    Replace,
    /// Stores under the second key.
    Insert,
    /// The same, where the order is full.
    Grow,
    /// Takes the first key out.
    Remove,
    /// The same; then he stores under the second key, in the entry that became free.
    Reuse,
    /// Of two keys, puts the one at the other end of the order at this one.
    Move(End),
}

fn key(bytes: &[u8]) -> Key<'_> {
    Key { tag: 1, bytes }
}

/// Two keys of one shard.
pub fn keys() -> [[u8; 1]; 2] {
    let shard = |byte: u8| key(&[byte]).hash() % SHARDS;
    let first = b'a';
    let other = (b'b'..=b'z').find(|&byte| shard(byte) == shard(first));
    [[first], [other.expect("a letter of the same shard")]]
}

/// The classes of an entry and of the blocks of index and order.
fn classes() -> [usize; 2] {
    let length = [ENTRY_WORDS * WORD - block::SMALL, LARGER_LENGTH];
    length.map(|length| class_for(length).expect("a small block"))
}

/// The words of the magazines of these classes, in a thread record.
fn magazines(record: u64) -> impl Iterator<Item = u64> {
    let words =
        move |class| (0..4).map(move |word| operation::magazine(record, class) + word * WORD);
    classes().into_iter().flat_map(words)
}

/// A table of one entry: the first key, and the value 1.
fn space(act: Act) -> Arc<Space> {
    space_with(act, [])
}

/// The same, with these words too.
pub fn space_with(act: Act, more: impl IntoIterator<Item = u64>) -> Arc<Space> {
    let own = (0..2).flat_map(|slot| {
        let records = (0..slot::RECORD_COUNT).map(move |index| layout::thread_record(slot, index));
        let pending = layout::slot_record(slot) + slot::PENDING;
        Segment::slot(slot, 7)
            .chain(records.flat_map(magazines))
            .chain(words(pending, slot::PENDING_ROWS))
    });
    let all = own
        .chain(words(OBJECT.0, (object::PAYLOAD + table::LENGTH) / WORD))
        .chain(words(
            STORAGE,
            (block::SMALL + (1 + SLOTS + ROOM) * WORD) / WORD,
        ))
        .chain(words(LARGER, (block::SMALL + LARGER_LENGTH) / WORD))
        .chain(words(OLD, ENTRY_WORDS))
        .chain(words(NEW, ENTRY_WORDS))
        .chain([STORAGE - LINE, LARGER - LINE, OLD - LINE])
        .chain(words(layout::bitmaps(0), 2))
        .chain([
            superblock::UUID,
            superblock::UUID + WORD,
            superblock::BELL.0,
            superblock::NEXT_SERIAL,
            superblock::FRONTIER,
        ]);
    let space = process::space(all.chain(more), &[]);
    let segment = &space.segment;
    let set = |word: u64, value: u64| segment.word(word).store(value, Ordering::Relaxed);
    let first = keys()[0];
    let hash = key(&first).hash();
    let shard = object::payload(OBJECT) + hash % SHARDS * LINE;
    set(shard + 16, STORAGE | u64::from(SLOTS.trailing_zeros()));
    set(shard + 24, 1);
    set(shard + 32, if act == Act::Grow { ROOM } else { 1 });
    let index = STORAGE + block::SMALL + WORD;
    set(index + (hash >> 3) % SLOTS * WORD, OLD << 16 | hash >> 48);
    set(index + SLOTS * WORD, OLD);
    set(OLD, 24 | kind::ENTRY << 56);
    set(OLD + 16, 1 << 3 | 1);
    set(OLD + 24, 1 | 1 << 26);
    set(OLD + 32, u64::from(first[0]));
    // Every unit is a run of its own, in use: chunks of these blocks.
    set(superblock::FRONTIER, 8);
    set(layout::bitmaps(0), 0xFF);
    let [small, large] = classes();
    for (first, class) in [(OLD, small), (STORAGE, large), (LARGER, large)] {
        let shape = layout::chunk_blocks(class, 1) << 8 | 1 << chunk::UNITS | chunk::TAG;
        set(first - LINE, class as u64 | shape);
    }
    if let Act::Move(end) = act {
        // The second key is behind the first, with a place before them or behind.
        let second = keys()[1];
        let hash = key(&second).hash();
        let slot = |number: u64| index + number % SLOTS * WORD;
        let free = (hash >> 3..).find(|&number| slot(number) != slot(key(&first).hash() >> 3));
        set(slot(free.expect("a slot")), NEW << 16 | hash >> 48);
        let start = u64::from(end == End::First);
        set(shard + 24, 2);
        set(shard + 32, start + 2);
        set(shard + 40, start);
        for (place, entry, key) in [(start, OLD, first), (start + 1, NEW, second)] {
            set(index + (SLOTS + place) * WORD, entry);
            set(entry, 24 | kind::ENTRY << 56);
            set(entry + 8, 1 + place - start);
            set(entry + 16, (1 + place - start) << 3 | 1);
            set(entry + 24, place << 32 | 1 | 1 << 26);
            set(entry + 32, u64::from(key[0]));
        }
        if end == End::First {
            set(index + SLOTS * WORD, 0);
        }
        set(superblock::NEXT_SERIAL, 2);
    }
    space
}

/// Gives the first participant a block of each class, at hand.
pub fn stock(segment: &Segment) {
    for index in 0..slot::RECORD_COUNT {
        for (class, block) in classes().into_iter().zip([NEW, LARGER]) {
            let magazine = operation::magazine(layout::thread_record(0, index), class);
            segment.word(magazine).store(1, Ordering::Relaxed);
            let first = segment.word(magazine + WORD);
            first.store(block, Ordering::Relaxed);
        }
    }
}

fn store(space: &Space, participant: &Participant, which: usize) {
    let names = keys();
    let item = Item {
        key: key(&names[which]),
        original: None,
        value: NewValue::Word(2 << 3 | 1),
    };
    let stored = table::store(caller(space, participant), TABLE, &item, When::Always);
    assert!(stored.unwrap());
}

fn remove(space: &Space, participant: &Participant) {
    let (names, when) = (keys(), When::Always);
    let first = key(&names[0]);
    let removed = table::remove(caller(space, participant), TABLE, &first, when);
    assert!(removed.unwrap());
}

pub fn perform(space: &Space, participant: &Participant, act: Act) {
    match act {
        Act::Replace => store(space, participant, 0),
        Act::Insert | Act::Grow => store(space, participant, 1),
        Act::Remove => remove(space, participant),
        Act::Reuse => {
            remove(space, participant);
            store(space, participant, 1);
        }
        Act::Move(end) => {
            let names = keys();
            let which = usize::from(end == End::First);
            let key = key(&names[which]);
            let moved = table::move_to_end(caller(space, participant), TABLE, &key, end);
            assert!(moved.unwrap());
        }
    }
}

/// Which key is at an end of the order.
fn at_end(space: &Space, participant: &Participant, end: End) -> usize {
    let first = table::first(caller(space, participant), TABLE, Want::Keys, end);
    let (pairs, _) = first.unwrap();
    let pair = pairs.iter().next().expect("a key");
    let place = keys().iter().position(|name| name == pair.key);
    place.expect("a key of the table")
}

pub fn find(space: &Space, participant: &Participant, which: usize) -> Option<u64> {
    let (names, mut buffer) = (keys(), Vec::new());
    let name = key(&names[which]);
    let found = table::find(caller(space, participant), TABLE, &name, &mut buffer);
    found.unwrap().0.map(|found| match found {
        Found::Word(word) if word & 7 == 1 => word >> 3,
        _ => panic!("a value that nobody stored"),
    })
}

/// What the two keys hold: before, perhaps between, and after.
fn states(act: Act) -> Vec<[Option<u64>; 2]> {
    match act {
        Act::Replace => vec![[Some(1), None], [Some(2), None]],
        Act::Insert | Act::Grow => vec![[Some(1), None], [Some(1), Some(2)]],
        Act::Remove => vec![[Some(1), None], [None, None]],
        Act::Reuse => vec![[Some(1), None], [None, None], [None, Some(2)]],
        Act::Move(_) => vec![[Some(1), Some(2)]],
    }
}

/// One changes the table, and may die; the other looks a key up meanwhile, and both after.
fn meet(act: Act, looked_up: usize, stores: u64) {
    let space = space(act);
    let segment = &space.segment;
    let pair = process::pair(&space);
    stock(segment);
    let write = move |space: &Space, writer: &Participant| perform(space, writer, act);
    let read = move |space: &Space, reader: &Participant| find(space, reader, looked_up);
    let (lives, during, reader) = process::beside(&space, pair, stores, write, read);
    let look = |which| {
        segment
            .live(1, IMMORTAL, || find(&space, &reader, which))
            .unwrap()
    };
    if !lives {
        recover::reap_all(segment).unwrap();
    }
    let (after, states) = ([look(0), look(1)], states(act));
    let reached = states.iter().position(|state| *state == after);
    let reached = reached.unwrap_or_else(|| panic!("a value that nobody stored: {after:?}"));
    let is_seen = |state: &[Option<u64>; 2]| state[looked_up] == during;
    assert!(
        states.iter().any(is_seen),
        "a value that nobody stored: {during:?}"
    );
    assert!(
        states[..=reached].iter().any(is_seen),
        "a value that was found is lost"
    );
    assert!(!lives || reached == states.len() - 1, "a change is lost");
    let there = after.iter().flatten().count() as u64;
    assert_eq!(table::count(segment, OBJECT), there, "the count");
}

/// One moves a key, and may die; the other looks meanwhile which key is at an end, and both after.
fn meet_order(to: End, looked_at: End, stores: u64) {
    let space = space(Act::Move(to));
    let segment = &space.segment;
    let write = move |space: &Space, writer: &Participant| perform(space, writer, Act::Move(to));
    let look = move |space: &Space, reader: &Participant| at_end(space, reader, looked_at);
    let (lives, during, reader) =
        process::beside(&space, process::pair(&space), stores, write, look);
    if !lives {
        recover::reap_all(segment).unwrap();
    }
    let look = |end| {
        segment
            .live(1, IMMORTAL, || at_end(&space, &reader, end))
            .unwrap()
    };
    let order = [look(End::First), look(End::Last)];
    let pairs = segment
        .live(1, IMMORTAL, || {
            table::snapshot(caller(&space, &reader), TABLE, Want::Keys).unwrap()
        })
        .unwrap();
    let all: Vec<[u8; 1]> = pairs.iter().map(|pair| [pair.key[0]]).collect();
    assert_eq!(all, order.map(|which| keys()[which]), "an order in two");
    assert!(
        order == [1, 0] || !lives && order == [0, 1],
        "a change is lost"
    );
    let seen = if looked_at == End::First {
        order[0]
    } else {
        order[1]
    };
    let before = usize::from(looked_at == End::Last);
    assert!(
        during == seen || during == before,
        "a change that was seen is lost"
    );
}

#[test]
fn a_reader_of_the_order_and_a_writer() {
    for to in [End::First, End::Last] {
        for looked_at in [End::First, End::Last] {
            let name = format!("a key is put at the {to:?}, one looks at the {looked_at:?}");
            mortal::explore(&name, 1, move || meet_order(to, looked_at, IMMORTAL));
            let places = mortal::every_death(|stores| {
                let name = format!("{name}: the writer dies after {stores} stores");
                mortal::explore(&name, 0, move || meet_order(to, looked_at, stores));
            });
            assert!(places > 10, "{places} places to die");
        }
    }
}

#[test]
#[should_panic(expected = "an order in two")]
fn catches_a_stamp_that_comes_later() {
    let _seeded = seed::seed(seed::Bug::StampedLater);
    mortal::every_death(|stores| {
        mortal::explore("a stamp that comes later", 0, move || {
            meet_order(End::Last, End::Last, stores);
        });
    });
}

/// Each act, and the key that it may be met at.
const SHORT: [(Act, usize); 3] = [(Act::Replace, 0), (Act::Insert, 1), (Act::Remove, 0)];
/// Those of many stores.
const LONG: [(Act, usize); 4] = [
    (Act::Grow, 0),
    (Act::Grow, 1),
    (Act::Reuse, 0),
    (Act::Reuse, 1),
];

fn live(meetings: &[(Act, usize)], preemptions: usize) {
    for &(act, key) in meetings {
        let name = format!("a reader of key {key} and a writer: {act:?}");
        mortal::explore(&name, preemptions, move || meet(act, key, IMMORTAL));
    }
}

fn die(meetings: &[(Act, usize)], preemptions: usize) {
    for &(act, key) in meetings {
        let places = mortal::every_death(|stores| {
            let name = format!("{act:?}, key {key}: the writer dies after {stores} stores");
            mortal::explore(&name, preemptions, move || meet(act, key, stores));
        });
        assert!(places > 10, "{places} places to die");
    }
}

#[test]
fn a_reader_and_a_writer() {
    live(&SHORT, 3);
    live(&LONG, 1);
}

#[test]
fn the_writer_dies() {
    die(&SHORT, 0); // each state that a death leaves is met all the same
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn a_reader_and_a_writer_of_many_stores() {
    live(&LONG, 2);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn the_writer_dies_while_another_reads() {
    die(&SHORT, 1);
    die(&LONG, 0);
}

#[test]
#[should_panic(expected = "a value that nobody stored")]
fn catches_a_record_without_a_sequence() {
    let _seeded = seed::seed(seed::Bug::SequenceLeftOut);
    mortal::explore("seed", 3, || {
        meet(Act::Insert, 1, IMMORTAL);
    });
}

#[test]
#[should_panic(expected = "a value that nobody stored")]
fn catches_an_entry_used_again_without_a_sequence() {
    let _seeded = seed::seed(seed::Bug::SequenceLeftOut);
    mortal::explore("seed", 3, || {
        meet(Act::Reuse, 0, IMMORTAL);
    });
}
