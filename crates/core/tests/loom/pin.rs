//! Pins: a block that a view reads is never freed, and every unlinked one is freed in the end.
//!
//! The reader, the writer and their sweeps run `pin`, `space` and `heap` as they are, on a heap
//! of two large blocks: the writer unlinks the one that a link names and puts the other there.
//! The mortal one dies before each of its stores; its slot is then reaped, and its pins are
//! cleared as the drainer does.

use crate::process::{self, caller, join};
use courtyard_core::error::Error;
use courtyard_core::fork;
use courtyard_core::inside::pin::{self, Pin};
use courtyard_core::keep::Keeper;
use courtyard_core::layout::{self, UNIT, WORD, block, slot, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::{DRAINING, Participant, State};
use courtyard_core::recover;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::{Ordering, fence};
use loom::thread;
use std::sync::Arc;

const OLD: u64 = DATA;
const NEW: u64 = DATA + UNIT;
const LOCK: LockWord = LockWord(DATA + 2 * UNIT);
const LINK: u64 = LOCK.0 + WORD;
const PAYLOAD: u64 = block::LARGE;
const BITMAP: u64 = layout::BITMAPS;
/// What whoever gets the freed block writes over it.
const OTHERS: u64 = 99;

/// How reading may be got wrong beside the engine's own bugs (`seed`).
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// The reader does not look at the link again.
    NoRecheck,
}

fn space() -> Arc<Space> {
    let heads = [OLD, NEW].into_iter();
    let heads = heads.flat_map(|at| [at + block::RETIRED_NEXT, at + PAYLOAD]);
    let heap = [
        superblock::UUID,
        superblock::UUID + WORD,
        superblock::HEAP_LOCK.0,
        superblock::FRONTIER,
        superblock::FIRST_FREE,
        superblock::USED,
        superblock::RETIRED_LOCK.0,
        superblock::RETIRED,
        superblock::MOVES,
        superblock::BELL.0,
        BITMAP,
        BITMAP + WORD,
        LOCK.0,
        LINK,
    ];
    let slots = (0..3).flat_map(|slot| Segment::slot(slot, 7));
    // Two used runs of one unit each.
    let start = [
        (superblock::FRONTIER, 2),
        (superblock::USED, 2),
        (BITMAP, 0b11),
        (LINK, OLD),
        (OLD + PAYLOAD, 1),
        (NEW + PAYLOAD, 1),
    ];
    process::space(slots.chain(heads).chain(heap), &start)
}

fn is_free(space: &Space) -> bool {
    space.segment.word(BITMAP + WORD).load(Ordering::Relaxed) & 1 != 0
}

/// Reads what is linked through a pin.
fn view(space: &Space, participant: &Participant, bug: Bug) {
    let segment = &space.segment;
    let linked = segment.word(LINK).load(Ordering::Acquire);
    let still = || segment.word(LINK).load(Ordering::Relaxed) == linked;
    let look = || {
        let seen = segment.word(linked + PAYLOAD).load(Ordering::Relaxed);
        assert_eq!(seen, 1, "freed under a pin");
        assert!(linked != OLD || !is_free(space), "free, but pinned");
    };
    let pinned = Pin::new(space, participant, linked, || {
        bug == Bug::NoRecheck || still()
    });
    if pinned.is_some() {
        look();
    }
}

/// Puts the other block in place of the old one, and writes over that once it is free.
fn replace(space: &Space, participant: &Participant) {
    let replaced = caller(&space, participant).run(|operation| {
        operation.lock(LOCK)?;
        operation.write(LINK, NEW);
        pin::retire(operation, OLD)?;
        operation.commit();
        Ok(())
    });
    replaced.unwrap();
    sweep(space, participant);
}

fn sweep(space: &Space, participant: &Participant) {
    let swept = pin::sweep(caller(space, participant));
    assert!(
        matches!(swept, Ok(()) | Err(Error::Interrupted)),
        "{swept:?}"
    );
    if is_free(space) {
        let payload = space.segment.word(OLD + PAYLOAD);
        payload.store(OTHERS, Ordering::Relaxed);
    }
}

/// What the recovery of a dead one does about its slot, as far as pins are concerned.
fn recover(space: &Space, slot: u64, reservation: &Participant) {
    let segment = &space.segment;
    recover::reap_all(segment).unwrap();
    assert_eq!(State::read(segment, slot).state, DRAINING);
    let pin = layout::slot_record(slot) + slot::PINS;
    segment.word(pin).store(0, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    sweep(space, reservation);
}

/// A reader and a writer, of whom one may die; the other recovers it.
fn meet(reader_stores: u64, writer_stores: u64, bug: Bug) {
    let space = space();
    let [reader, writer] = [join(&space.segment, 0), join(&space.segment, 1)];
    let reading = space.clone();
    let reading = thread::spawn(move || {
        let segment = &reading.segment;
        let lived = segment.live(0, reader_stores, || view(&reading, &reader, bug));
        (lived.is_some(), reader)
    });
    let segment = &space.segment;
    let wrote = segment.live(1, writer_stores, || replace(&space, &writer));
    let (read, reader) = reading.join().unwrap();
    if !read {
        recover(&space, 0, &writer);
    } else if wrote.is_none() {
        recover(&space, 1, &reader);
    }
    let unlinked = segment.word(LINK).load(Ordering::Relaxed) == NEW;
    assert!(unlinked || wrote.is_none());
    assert_eq!(
        is_free(&space),
        unlinked,
        "unlinked, but not freed in the end"
    );
    assert_eq!(segment.word(superblock::RETIRED).load(Ordering::Relaxed), 0);
}

/// A reader pins, has a child's rows name what its own do, as before a fork, and lets go. The child
/// goes on reading, and lets go in its turn.
fn reader_forks() {
    let space = space();
    // The scan comes to the child's slot first, then to the reader's.
    let [child, writer, reader] = [
        join(&space.segment, 0),
        join(&space.segment, 1),
        join(&space.segment, 2),
    ];
    let reading = space.clone();
    let reading = thread::spawn(move || {
        let segment = &reading.segment;
        segment.live(2, IMMORTAL, || {
            let linked = || segment.word(LINK).load(Ordering::Relaxed) == OLD;
            let Some(pinned) = Pin::new(&reading, &reader, OLD, linked) else {
                return;
            };
            pinned.keep(Keeper::Views);
            fork::lend(segment, &reader, &child);
            drop(pinned);
            let seen = segment.word(OLD + PAYLOAD).load(Ordering::Relaxed);
            assert_eq!(seen, 1, "freed under a pin of a child's");
            segment.word(child.pin(0)).store(0, Ordering::Release);
            pin::look(&reading, &child);
        });
    });
    let segment = &space.segment;
    segment.live(1, IMMORTAL, || replace(&space, &writer));
    reading.join().unwrap();
    assert!(is_free(&space), "unlinked, but not freed in the end");
}

#[test]
fn a_reader_forks() {
    mortal::explore("reader forks", 3, reader_forks);
}

#[test]
#[should_panic(expected = "pin")]
fn catches_a_move_that_is_not_counted() {
    let _seeded = seed::seed(seed::Bug::MoveUncounted);
    mortal::explore("seed", 3, reader_forks);
}

#[test]
fn reader_and_writer() {
    mortal::explore("reader, writer", 5, || meet(IMMORTAL, IMMORTAL, Bug::None));
}

#[test]
fn the_reader_dies() {
    mortal::every_death(|stores| {
        let name = format!("reader dies after {stores} stores");
        mortal::explore(&name, 3, move || meet(stores, IMMORTAL, Bug::None));
    });
}

#[test]
#[ignore = "takes long: make torture runs it"]
fn the_writer_dies() {
    mortal::every_death(|stores| {
        let name = format!("writer dies after {stores} stores");
        mortal::explore(&name, 3, move || meet(IMMORTAL, stores, Bug::None));
    });
}

#[test]
#[should_panic(expected = "pin")]
fn catches_a_pin_without_a_second_look() {
    mortal::explore("seed", 3, || meet(IMMORTAL, IMMORTAL, Bug::NoRecheck));
}

#[test]
#[should_panic(expected = "pin")]
fn catches_a_pin_without_a_fence() {
    let _seeded = seed::seed(seed::Bug::PinWithoutFence);
    mortal::explore("seed", 3, || meet(IMMORTAL, IMMORTAL, Bug::None));
}

#[test]
#[should_panic(expected = "not freed in the end")]
fn catches_an_unpin_that_does_not_look() {
    let _seeded = seed::seed(seed::Bug::UnpinWithoutLook);
    mortal::explore("seed", 3, || meet(IMMORTAL, IMMORTAL, Bug::None));
}
