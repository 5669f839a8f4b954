//! Large blocks: no run has two owners, whoever takes one beside another or dies over it.
//!
//! Two processes run `heap` and `space` as they are, on a heap of two free runs whose bits share
//! a word of the bitmaps. The mortal one dies before each of its stores, and is then reaped.

use crate::process::{self, caller};
use courtyard_core::heap;
use courtyard_core::layout::{self, UNIT, WORD, block, slot, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::participant::Participant;
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use std::sync::Arc;

const BITMAP: u64 = layout::BITMAPS;
/// Starts and free bits of two free runs of as many units, each before a used one of one unit.
const UNITS: u64 = 3;
const STARTS: u64 = 0b1001_1001;
const FREE: u64 = 0b0001_0001;

fn owner(slot: u64) -> u64 {
    layout::slot_record(slot) + slot::PENDING
}

fn space() -> Arc<Space> {
    let words = [
        superblock::UUID,
        superblock::UUID + WORD,
        superblock::HEAP_LOCK.0,
        superblock::FRONTIER,
        superblock::FIRST_FREE,
        superblock::USED,
        BITMAP,
        BITMAP + WORD,
        owner(0),
        owner(1),
    ];
    let slots = (0..2).flat_map(|slot| Segment::slot(slot, 5));
    let heads = (0..8).map(|unit| DATA + unit * UNIT + block::SHAPE);
    let start = [
        (superblock::FRONTIER, 8),
        (superblock::USED, 2),
        (BITMAP, STARTS),
        (BITMAP + WORD, FREE),
    ];
    process::space(slots.chain(words).chain(heads), &start)
}

fn allocate(space: &Space, participant: &Participant) {
    let owner = participant.pending_word(0);
    let allocated = caller(space, participant)
        .run(|operation| heap::allocate(operation, UNITS * UNIT - block::LARGE, owner));
    allocated.unwrap();
}

/// Two take a run each, the first of whom dies after so many stores.
fn take(stores: u64) {
    let space = space();
    let segment = &space.segment;
    let pair = process::pair(&space);
    let mortal = pair[0].me;
    let (lived, ..) = process::beside(&space, pair, stores, allocate, allocate);
    if !lived {
        recover::reap(segment, mortal).unwrap();
    }
    let read = |word| segment.word(word).load(Ordering::Relaxed);
    let taken = [0, 1].map(|slot| read(owner(slot)));
    assert_ne!(taken[0], taken[1], "a run with two owners");
    assert!(taken[0] != 0 || !lived);
    let bits = taken.map(|block| match block {
        0 => 0,
        block => 1 << ((block - DATA) / UNIT),
    });
    let free = FREE & !(bits[0] | bits[1]);
    assert_eq!(
        read(BITMAP + WORD),
        free,
        "the bitmap and the owners disagree"
    );
    assert_eq!(read(BITMAP), STARTS);
}

#[test]
fn two_take_a_run_each() {
    mortal::explore("two take", 4, || take(IMMORTAL));
}

#[test]
fn one_of_two_dies() {
    let places = mortal::every_death(|stores| {
        let name = format!("two take, one dies after {stores} stores");
        mortal::explore(&name, 3, move || take(stores));
    });
    assert!(places > 10, "{places} places to die");
}

#[test]
#[should_panic(expected = "a run with two owners")]
fn catches_a_bitmap_without_its_lock() {
    let _seeded = seed::seed(seed::Bug::BitmapWithoutLock);
    mortal::explore("seed", 2, || take(IMMORTAL));
}
