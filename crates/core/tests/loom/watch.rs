//! A watcher of a table: it misses no change, whenever it looks and whoever dies while it stores.
//!
//! The writer and the table are those of the models of `table`. The watcher runs `Watch::look`, beside the
//! writer and after it.

use crate::process::{self, caller, words};
use crate::table::{Act, OBJECT, TABLE, find, keys, perform, space_with, stock};
use courtyard_core::inside::operation::class_for;
use courtyard_core::layout::{self, LINE, UNIT, WORD, block, chunk};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::object::{self, Stored};
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::DATA;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{SHARDS, Watch};
use std::sync::Arc;

/// The block of recent changes.
const RECENT: u64 = DATA + 5 * UNIT + LINE;
/// What it holds, and of which shard so many changes.
const LENGTH: u64 = 8128;
const DEPTH: u64 = 63;
const CHANGES: u64 = 4;

/// What is known of the two keys.
type State = [Option<u64>; 2];

fn watched(act: Act) -> Arc<Space> {
    let name = keys()[0];
    let hash = courtyard_core::table::Key {
        tag: 1,
        bytes: &name,
    }
    .hash();
    let shard = object::payload(OBJECT) + hash % SHARDS * LINE;
    let first = RECENT + block::SMALL + LINE + shard / LINE % SHARDS * DEPTH * 2 * WORD;
    let own = words(RECENT - LINE, 1)
        .chain(words(RECENT, 3))
        .chain(words(first, CHANGES * 2));
    let space = space_with(act, own);
    let set = |word: u64, value: u64| space.segment.word(word).store(value, Ordering::Relaxed);
    let class = class_for(LENGTH).expect("a small block");
    let shape = layout::chunk_blocks(class, 1) << 8 | 1 << chunk::UNITS | chunk::TAG;
    set(RECENT - LINE, class as u64 | shape);
    for shard in 0..SHARDS {
        set(object::payload(OBJECT) + shard * LINE + 48, RECENT);
    }
    space
}

/// Looks, and makes the changes that were found in what is known.
fn look(watch: &mut Watch, space: &Space, watcher: &Participant, mut known: State) -> State {
    while watch.look(caller(space, watcher), TABLE).unwrap() {
        let change = watch.take().expect("a change");
        let which = keys().iter().position(|name| *name == *change.key);
        known[which.expect("a key of the table")] = change.value.map(|value| match value {
            Stored::Word(word) => word >> 3,
            Stored::Bytes(..) => panic!("a value that nobody stored"),
        });
    }
    known
}

/// One changes the table, and may die; the other follows it meanwhile, and after.
fn meet(act: Act, stores: u64) {
    let space = watched(act);
    let segment = &space.segment;
    let pair = process::pair(&space);
    stock(segment);
    let begin = || Watch::new(caller(&space, &pair[1]), TABLE, None).unwrap();
    let (mut watch, _) = segment.live(1, IMMORTAL, begin).unwrap();
    let write = move |space: &Space, writer: &Participant| perform(space, writer, act);
    let follow = move |space: &Space, watcher: &Participant| {
        let known = look(&mut watch, space, watcher, [Some(1), None]);
        (watch, known)
    };
    let (lives, (mut watch, during), watcher) =
        process::beside(&space, pair, stores, write, follow);
    if !lives {
        recover::reap_all(segment).unwrap();
    }
    let after = || {
        let known = look(&mut watch, &space, &watcher, during);
        (known, [0, 1].map(|which| find(&space, &watcher, which)))
    };
    let (known, there) = segment.live(1, IMMORTAL, after).unwrap();
    assert_eq!(known, there, "a change is missed");
}

const ACTS: [Act; 5] = [
    Act::Replace,
    Act::Insert,
    Act::Remove,
    Act::Grow,
    Act::Reuse,
];

fn live(acts: &[Act], preemptions: usize) {
    for &act in acts {
        let name = format!("a watcher and a writer: {act:?}");
        mortal::explore(&name, preemptions, move || meet(act, IMMORTAL));
    }
}

fn die(acts: &[Act], preemptions: usize) {
    for &act in acts {
        let places = mortal::every_death(|stores| {
            let name = format!("{act:?}: the writer dies after {stores} stores");
            mortal::explore(&name, preemptions, move || meet(act, stores));
        });
        assert!(places > 10, "{places} places to die");
    }
}

#[test]
fn a_watcher_and_a_writer() {
    live(&ACTS, 1);
}

#[test]
fn the_writer_dies() {
    die(&ACTS[..3], 0);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn a_watcher_and_a_writer_in_full() {
    live(&ACTS, 2);
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn the_writer_dies_while_another_watches() {
    die(&ACTS[..3], 1);
    die(&ACTS[3..], 0);
}

#[test]
#[should_panic(expected = "a change is missed")]
fn catches_a_change_noted_as_one_of_the_order() {
    let _seeded = seed::seed(seed::Bug::NotedAsOrder);
    mortal::explore("seed", 1, || meet(Act::Replace, IMMORTAL));
}
