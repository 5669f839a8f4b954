//! The ring: every item comes out once and in order, whoever dies while he puts or takes.
//!
//! Producers and consumers run `queue::put_fast`, `put`, `get_fast` and `get` as they are, on a
//! queue of three pages, of which putters leave one empty: inside a page, and where an item goes from
//! one page to the next. And where an empty queue of one page begins it again. The mortal one dies before each of its stores; the other reaps it and takes
//! what is left.

use crate::process::{self, caller, join, words};
use courtyard_core::holding::{self, Row};
use courtyard_core::layout::{self, UNIT, WORD, block, record, slot, superblock};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::object;
use courtyard_core::offset::Object;
use courtyard_core::participant::Participant;
use courtyard_core::queue::{
    self, Bounds, FIRST_RECORD, Got, Item, Items, JUMP_ROOM, NewItem, Order, Put, Queue, Run,
};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use loom::thread;
use std::sync::{Arc, Mutex};

const PAGES: [u64; 3] = [DATA, DATA + UNIT, DATA + 2 * UNIT];
const OBJECT: Object = Object(DATA + 3 * UNIT);
const ROWS: u64 = DATA + 4 * UNIT;
/// A record of one word, the items of these models.
const RECORD: u64 = 2 * WORD;
const QUEUE: Queue = Queue {
    object: OBJECT,
    id: ObjectId { row: 0, serial: 1 },
};

/// Where the first item goes: somewhere in a page, or as the last one that fits there.
const INSIDE: u64 = PAGES[0] + FIRST_RECORD;
const AT_THE_END: u64 = PAGES[0] + UNIT - JUMP_ROOM - RECORD;
/// Where no more item fits: of its only page a queue is given the start again.
const BEHIND_ALL: u64 = PAGES[0] + UNIT - JUMP_ROOM;

fn row(slot: u64) -> Row {
    let at = ROWS + slot * holding::ROW;
    Row { number: slot, at }
}

fn space(first: u64, items: u64, bytes: u64) -> Arc<Space> {
    let own = (0..2).flat_map(|slot| {
        let fast = layout::thread_record(slot, 0) + record::ENTRIES;
        let pending = layout::slot_record(slot) + slot::PENDING;
        Segment::slot(slot, 3)
            .chain(words(fast, 6))
            .chain(words(row(slot).at, 4))
            .chain([pending])
    });
    let object = words(OBJECT.0, (object::PAYLOAD + queue::LENGTH) / WORD);
    let room = (items * RECORD / WORD + 1).min((PAGES[0] + UNIT - first) / WORD);
    let again = match first {
        BEHIND_ALL => 1 + items * RECORD / WORD,
        _ => 0,
    };
    let pages = words(PAGES[0] + block::LARGE, 1 + again)
        .chain(words(first, room))
        .chain(words(PAGES[1] + block::LARGE, 2 + items * RECORD / WORD))
        .chain(words(PAGES[2] + block::LARGE, 1));
    let whole = [
        superblock::UUID,
        superblock::UUID + WORD,
        superblock::BELL.0,
        superblock::FIRST_FREE,
    ];
    let space = process::space(own.chain(object).chain(pages).chain(whole), &[]);
    let segment = &space.segment;
    let bounds = Bounds { items: 0, bytes };
    queue::lay_out(segment, OBJECT, first, bounds, Order::Fifo);
    let circle = match first {
        BEHIND_ALL => &PAGES[..1],
        _ => &PAGES,
    };
    for (index, page) in circle.iter().enumerate() {
        let link = segment.word(page + block::LARGE);
        link.store(circle[(index + 1) % circle.len()], Ordering::Relaxed);
    }
    for slot in 0..2 {
        let named = segment.word(row(slot).at);
        named.store(QUEUE.id.row + 1, Ordering::Relaxed);
    }
    space
}

/// How an end works: as the GIL's holder, where that is possible, one item at a time or several;
/// or always as an operation.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Fast,
    Batch,
    Operation,
}

/// Puts the items 1, 2 and so on; `told` is the last one whose `put` returned.
fn produce(space: &Space, participant: &Participant, items: u64, way: Way, told: &Mutex<u64>) {
    let all: Vec<u64> = (1..=items).collect();
    let mut done = 0;
    if way == Way::Batch {
        let mut records = Vec::new();
        for word in all {
            assert!(queue::add_record(&mut records, Item::Word(word)));
        }
        // SAFETY: a participant of a model has one thread.
        let put = unsafe { queue::put_run(&space.segment, participant, OBJECT, &records) };
        done = (put / 16) as u64; // bytes of a record of a word
        *told.lock().unwrap() = done;
    }
    for item in done + 1..=items {
        let new = NewItem::Word(item);
        // SAFETY: a participant of a model has one thread.
        let fast = || unsafe { queue::put_fast(&space.segment, participant, OBJECT, &new) };
        let put = (way == Way::Fast).then(fast).flatten();
        let put =
            put.unwrap_or_else(|| queue::put(caller(space, participant), QUEUE, &new).unwrap());
        assert_eq!(put, Put::Done);
        *told.lock().unwrap() = item;
    }
}

fn take(space: &Space, participant: &Participant, row: Row, way: Way) -> Option<u64> {
    let mut buffer = [];
    // SAFETY: as above.
    let fast = || unsafe { queue::get_fast(&space.segment, participant, OBJECT, row, &mut buffer) };
    let got = (way == Way::Fast).then(fast).flatten();
    let got = got.unwrap_or_else(|| {
        queue::get(caller(space, participant), QUEUE, row, None, &mut []).unwrap()
    });
    got.map(|got| match got {
        Got::Word(word) => word,
        _ => panic!("an item that nobody put"),
    })
}

fn consume(space: &Space, participant: &Participant, items: u64, way: Way, got: &Mutex<Vec<u64>>) {
    if way == Way::Batch {
        let (segment, row) = (&space.segment, row(1));
        let mut buffer = [0; UNIT as usize];
        let none = |_| false;
        // SAFETY: as above.
        let run =
            unsafe { queue::get_run(segment, participant, OBJECT, row, 2, none, &mut buffer) };
        if let Run::Taken(length) = run {
            let items = Items(&buffer[..length]).map(|item| match item {
                Item::Word(word) => word,
                Item::Bytes(..) => panic!("an item that nobody put"),
            });
            got.lock().unwrap().extend(items);
        }
    }
    for _ in 0..items {
        if let Some(item) = take(space, participant, row(1), way) {
            got.lock().unwrap().push(item);
        }
    }
}

/// A producer of two items and a consumer, of whom one may die.
fn meet(first: u64, deaths: [u64; 2], way: Way) {
    meet_in(first, (2, 0), deaths, way);
}

/// As `meet`, of so many items in a queue of at most so many bytes.
fn meet_in(first: u64, (items, bytes): (u64, u64), [putting, taking]: [u64; 2], way: Way) {
    let space = space(first, items, bytes);
    let segment = &space.segment;
    let [producer, consumer] = [join(&space.segment, 0), join(&space.segment, 1)];
    let (told, got) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (there, telling) = (space.clone(), told.clone());
    let producing = thread::spawn(move || {
        let act = || produce(&there, &producer, items, way, &telling);
        (there.segment.live(0, putting, act).is_some(), producer)
    });
    let (there, getting) = (space.clone(), got.clone());
    let consuming = thread::spawn(move || {
        let act = || consume(&there, &consumer, items, way, &getting);
        (there.segment.live(1, taking, act).is_some(), consumer)
    });
    let (producer_lives, producer) = producing.join().unwrap();
    let (consumer_lives, consumer) = consuming.join().unwrap();
    if !(producer_lives && consumer_lives) {
        recover::reap_all(segment).unwrap();
    }
    let (reservation, slot) = if consumer_lives {
        (&consumer, 1)
    } else {
        (&producer, 0)
    };
    let counted = queue::counts(segment, OBJECT).0;
    if bytes != 0 {
        let found = queue::bytes(segment, OBJECT);
        assert_eq!(found, counted * RECORD, "items and their bytes");
    }
    let (told, got) = (*told.lock().unwrap(), got.lock().unwrap().clone());
    let taken = queue::taken(segment, row(1));
    let rest: Vec<u64> = std::iter::from_fn(|| {
        segment
            .live(slot, IMMORTAL, || {
                take(&space, reservation, row(slot), Way::Operation)
            })
            .flatten()
    })
    .collect();
    let put = taken + rest.len() as u64;
    assert_eq!(counted, rest.len() as u64, "items and their number");
    assert!(
        (told..=items).contains(&put),
        "an item is lost: {put} of {told}"
    );
    let at_once = if way == Way::Batch { items } else { 1 };
    assert!(
        producer_lives || put <= told + at_once,
        "an item that nobody put"
    );
    // What a dead consumer took and did not tell of is what it took at once.
    let untold = taken - got.len() as u64;
    let most = if consumer_lives { 0 } else { at_once };
    assert!(untold <= most, "{untold} items are lost");
    let all = got.iter().copied().chain(rest);
    let expected = (1..=got.len() as u64).chain(taken + 1..=put);
    assert!(all.eq(expected), "out of order: {got:?}, then others");
}

/// Two consumers, of whom one may die, and two items that are there.
fn share(stores: u64) {
    const ITEMS: u64 = 2;
    let space = space(INSIDE, ITEMS, 0);
    let segment = &space.segment;
    let [mortal, other] = [join(&space.segment, 0), join(&space.segment, 1)];
    let told = Mutex::new(0);
    segment.live(0, IMMORTAL, || {
        produce(&space, &mortal, ITEMS, Way::Operation, &told)
    });
    let there = space.clone();
    let first = thread::spawn(move || {
        let act = || take(&there, &mortal, row(0), Way::Operation);
        there.segment.live(0, stores, act)
    });
    let second = segment.live(1, IMMORTAL, || take(&space, &other, row(1), Way::Operation));
    let first = first.join().unwrap();
    if first.is_none() {
        recover::reap_all(segment).unwrap();
    }
    let (first, second) = (first.flatten(), second.flatten());
    assert!(first != second, "an item was taken twice");
    assert!(second.is_some(), "an item is lost");
    let taken = [0, 1].map(|slot| queue::taken(segment, row(slot)));
    let left = queue::counts(segment, OBJECT).0;
    assert_eq!(taken[0] + taken[1] + left, ITEMS, "taken twice, or lost");
}

#[test]
fn producer_and_consumer() {
    for (first, name) in [(INSIDE, "inside a page"), (AT_THE_END, "at its end")] {
        for way in [Way::Fast, Way::Batch, Way::Operation] {
            mortal::explore(name, 3, move || meet(first, [IMMORTAL; 2], way));
        }
    }
}

#[test]
fn the_producer_dies() {
    for first in [INSIDE, AT_THE_END] {
        for way in [Way::Fast, Way::Batch, Way::Operation] {
            let places = mortal::every_death(|stores| {
                let name = format!("the producer dies after {stores} stores");
                mortal::explore(&name, 3, move || meet(first, [stores, IMMORTAL], way));
            });
            assert!(places > 10, "{places} places to die");
        }
    }
}

#[test]
fn the_consumer_dies() {
    for first in [INSIDE, AT_THE_END] {
        for way in [Way::Fast, Way::Batch, Way::Operation] {
            let places = mortal::every_death(|stores| {
                let name = format!("the consumer dies after {stores} stores");
                mortal::explore(&name, 3, move || meet(first, [IMMORTAL, stores], way));
            });
            assert!(places > 10, "{places} places to die");
        }
    }
}

/// The head moves with the tail: a consumer that looks meanwhile finds nothing, or the first item.
#[test]
fn an_empty_ring_begins_its_page_again() {
    for way in [Way::Fast, Way::Operation] {
        let meet = move |deaths| meet_in(BEHIND_ALL, (1, 0), deaths, way);
        mortal::explore("behind all", 3, move || meet([IMMORTAL; 2]));
        for who in 0..2 {
            let places = mortal::every_death(|stores| {
                let name = format!("{who} dies after {stores} stores");
                let mut deaths = [IMMORTAL; 2];
                deaths[who] = stores;
                mortal::explore(&name, 1, move || meet(deaths));
            });
            assert!(places > 10, "{places} places to die");
        }
    }
}

/// What is counted is what is there, whoever dies; what is put and taken at once does not meet.
#[test]
fn a_queue_that_counts() {
    for first in [INSIDE, AT_THE_END] {
        for way in [Way::Fast, Way::Batch, Way::Operation] {
            let bytes = 2 * RECORD;
            mortal::explore("counted", 3, move || {
                meet_in(first, (2, bytes), [IMMORTAL; 2], way)
            });
            for who in 0..2 {
                let places = mortal::every_death(|stores| {
                    let name = format!("{who} dies after {stores} stores in a queue that counts");
                    let mut deaths = [IMMORTAL; 2];
                    deaths[who] = stores;
                    mortal::explore(&name, 2, move || meet_in(first, (2, bytes), deaths, way));
                });
                assert!(places > 10, "{places} places to die");
            }
        }
    }
}

#[test]
#[should_panic(expected = "items and their bytes")]
fn catches_bytes_counted_by_another_record() {
    let _seeded = seed::seed(seed::Bug::BytesOutOfStep);
    mortal::every_death(|stores| {
        let deaths = [stores, IMMORTAL];
        mortal::explore("seed", 1, move || {
            meet_in(INSIDE, (2, 2 * RECORD), deaths, Way::Operation);
        });
    });
}

#[test]
fn two_consumers() {
    mortal::explore("two consumers", 3, || share(IMMORTAL));
    mortal::every_death(|stores| {
        let name = format!("one of two consumers dies after {stores} stores");
        mortal::explore(&name, 2, move || share(stores));
    });
}

#[test]
#[should_panic(expected = "a queue holds a record of kind 0")]
fn catches_a_tail_before_its_record() {
    let _seeded = seed::seed(seed::Bug::TailBeforeRecord);
    mortal::explore("seed", 2, || meet(INSIDE, [IMMORTAL; 2], Way::Fast));
}

#[test]
#[should_panic(expected = "taken twice")]
fn catches_an_item_taken_without_the_lock() {
    let _seeded = seed::seed(seed::Bug::GetWithoutLock);
    mortal::explore("seed", 2, || share(IMMORTAL));
}
