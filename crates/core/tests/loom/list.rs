//! A list: who reads an element without a lock finds one that was there, whoever dies while he changes
//! it.
//!
//! The writer runs `push`, `pop`, `set` or the exchange of the ring as it is. The reader runs `get`. The
//! writer dies before each of its stores; the reader meets that, and reaps him. Two writers beside
//! each other lose nothing.

use crate::process::{self, caller, words};
use courtyard_core::inside::operation;
use courtyard_core::layout::{self, LINE, UNIT, WORD, block, chunk, kind, slot, superblock};
use courtyard_core::list::{self, End, List};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::object::{self, Writer};
use courtyard_core::offset::Object;
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::value::{Found, NewValue, Taken};
use std::sync::Arc;

const OBJECT: Object = Object(DATA + UNIT + block::SMALL);
/// The ring: two words; and the block at hand for a larger one.
const RING: u64 = CHUNK + chunk::BLOCKS;
const CHUNK: u64 = DATA + 2 * UNIT;
const CAPACITY: u64 = 2;
const NEXT: u64 = DATA + 3 * UNIT + LINE;
const LIST: List = Writer {
    object: OBJECT,
    guarded: true,
    thread: 1,
};

const fn number(number: u64) -> u64 {
    number << 3 | 1
}

/// A list of `count` elements: 1, 2.
fn space(count: u64) -> Arc<Space> {
    let own = (0..2).flat_map(|slot| {
        let magazines = (0..slot::RECORD_COUNT).flat_map(move |index| {
            let magazine = operation::magazine(layout::thread_record(slot, index), 0);
            [magazine, magazine + WORD]
        });
        let row = layout::slot_record(slot) + slot::PENDING;
        Segment::slot(slot, 8).chain(magazines).chain([row])
    });
    let all = own
        .chain(words(OBJECT.0, (object::PAYLOAD + list::LENGTH) / WORD))
        .chain(words(RING, 8))
        .chain(words(NEXT, 8))
        .chain([
            superblock::UUID,
            superblock::UUID + WORD,
            superblock::BELL.0,
            superblock::NEXT_SERIAL,
            superblock::FRONTIER,
            layout::bitmaps(0),
            CHUNK + chunk::SHAPE,
        ]);
    let root = object::payload(OBJECT);
    let mut start = vec![
        (root, RING),
        (root + 8, CAPACITY),
        (root + 24, count),
        (RING, 32 | kind::RING << 56),
        // The ring is a block of a chunk, and goes into a magazine.
        (superblock::FRONTIER, 8),
        (layout::bitmaps(0), 1 << 2),
        (
            CHUNK + chunk::SHAPE,
            255 << 8 | 1 << chunk::UNITS | chunk::TAG,
        ),
    ];
    let element = |index| (RING + block::SMALL + (2 + index) * WORD, number(1 + index));
    start.extend((0..count).map(element));
    process::space(all, &start)
}

fn get(space: &Space, participant: &Participant, index: i64) -> Option<u64> {
    let mut buffer = Vec::new();
    let found = list::get(caller(space, participant), LIST, index, &mut buffer);
    found.unwrap().0.map(|found| match found {
        Found::Word(word) if word & 7 == 1 => word >> 3,
        _ => panic!("a value that nobody stored"),
    })
}

fn push(space: &Space, participant: &Participant, end: End, value: u64) {
    let value = NewValue::Word(number(value));
    let pushed = list::push(caller(space, participant), LIST, end, &value, None);
    assert!(pushed.unwrap());
}

fn pop(space: &Space, participant: &Participant, end: End) -> Option<u64> {
    let popped = list::pop(caller(space, participant), LIST, end);
    popped.unwrap().map(|taken| match taken {
        Taken::Word(word) => word >> 3,
        _ => panic!("a value that nobody stored"),
    })
}

fn set(space: &Space, participant: &Participant, index: i64, value: u64) {
    let value = NewValue::Word(number(value));
    let set = list::set(caller(space, participant), LIST, index, &value);
    assert!(set.unwrap());
}

/// What a writer does with a list of one element, 1; what is first before and after.
#[derive(Clone, Copy)]
enum Change {
    /// Replaces it by 2.
    Set,
    /// Puts 2 before it.
    Push,
    /// Takes it out, and puts 2 where it was.
    Turn,
}

fn change(space: &Space, participant: &Participant, change: Change) {
    match change {
        Change::Set => set(space, participant, 0, 2),
        Change::Push => push(space, participant, End::First, 2),
        Change::Turn => {
            assert_eq!(pop(space, participant, End::First), Some(1));
            push(space, participant, End::First, 2);
        }
    }
}

/// One changes, and may die; the other reads the first element.
fn meet(what: Change, stores: u64) {
    let space = space(1);
    let segment = &space.segment;
    let act = move |space: &Space, writer: &Participant| change(space, writer, what);
    let look = |space: &Space, reader: &Participant| get(space, reader, 0);
    let (lives, during, reader) = process::beside(&space, process::pair(&space), stores, act, look);
    if !lives {
        recover::reap_all(segment).unwrap();
    }
    let after = segment.live(1, IMMORTAL, || look(&space, &reader)).unwrap();
    let is_known = |found: Option<u64>| match what {
        Change::Turn => matches!(found, Some(1 | 2) | None),
        _ => matches!(found, Some(1 | 2)),
    };
    assert!(is_known(after), "a value that nobody stored: {after:?}");
    assert!(is_known(during), "a value that nobody stored: {during:?}");
    assert!(
        during != Some(2) || after == Some(2),
        "a value that was found is lost"
    );
    assert!(!lives || after == Some(2), "a value is lost");
    let count = list::count(segment, OBJECT);
    let expected = match (what, after) {
        (Change::Push, Some(2)) => 2,
        (_, None) => 0,
        _ => 1,
    };
    assert_eq!(count, expected, "the count");
}

/// A full ring is exchanged for a larger one by a writer who puts 3 at the end; another replaces the
/// first element by 4.
fn grow() {
    let space = space(2);
    let segment = &space.segment;
    let pair = process::pair(&space);
    for index in 0..slot::RECORD_COUNT {
        let magazine = operation::magazine(layout::thread_record(0, index), 0);
        segment.word(magazine).store(1, Ordering::Relaxed);
        segment.word(magazine + WORD).store(NEXT, Ordering::Relaxed);
    }
    let push = |space: &Space, first: &Participant| push(space, first, End::Last, 3);
    let set = |space: &Space, second: &Participant| set(space, second, 0, 4);
    let (.., second) = process::beside(&space, pair, IMMORTAL, push, set);
    let look = || [0, 1, 2].map(|index| get(&space, &second, index));
    let after = segment.live(1, IMMORTAL, look).unwrap();
    assert_eq!(after, [Some(4), Some(2), Some(3)], "a value is lost");
}

/// One says that there may be one element, another puts a second one at the end.
fn bound() {
    let space = space(1);
    let segment = &space.segment;
    let bound = |space: &Space, first: &Participant| {
        list::bound(caller(space, first), LIST, Some(1)).unwrap();
    };
    let push = |space: &Space, second: &Participant| push(space, second, End::Last, 2);
    let (.., second) = process::beside(&space, process::pair(&space), IMMORTAL, bound, push);
    let look = || [0, 1].map(|index| get(&space, &second, index));
    let after = segment.live(1, IMMORTAL, look).unwrap();
    assert_eq!(after, [Some(2), None], "more than there may be");
}

#[test]
fn a_reader_and_a_writer() {
    for what in [Change::Set, Change::Push, Change::Turn] {
        mortal::explore("a reader and a writer", 2, move || meet(what, IMMORTAL));
    }
}

#[test]
fn the_writer_dies() {
    for what in [Change::Set, Change::Push] {
        let places = mortal::every_death(|stores| {
            let name = format!("the writer dies after {stores} stores");
            mortal::explore(&name, 1, move || meet(what, stores));
        });
        assert!(places > 10, "{places} places to die");
    }
}

#[test]
fn a_ring_grows_beside_a_writer() {
    mortal::explore("a ring grows beside a writer", 2, grow);
}

#[test]
#[should_panic(expected = "a value is lost")]
fn catches_elements_copied_without_the_lock() {
    let _seeded = seed::seed(seed::Bug::CopiedBeforeLock);
    mortal::explore("elements copied without the lock", 2, grow);
}

#[test]
fn a_list_is_bounded_beside_a_writer() {
    mortal::explore("a list is bounded beside a writer", 2, bound);
}

#[test]
#[should_panic(expected = "more than there may be")]
fn catches_a_bound_read_before_the_lock() {
    let _seeded = seed::seed(seed::Bug::MostBeforeLock);
    mortal::explore("a bound read before the lock", 2, bound);
}

#[test]
#[should_panic(expected = "a value that nobody stored")]
fn catches_a_record_without_a_sequence() {
    let _seeded = seed::seed(seed::Bug::SequenceLeftOut);
    mortal::explore("seed", 3, || {
        meet(Change::Turn, IMMORTAL);
    });
}
