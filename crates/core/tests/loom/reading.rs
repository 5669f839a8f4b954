//! Giving back: nobody who reads without a lock touches what was punched, and in the end it is.
//!
//! The reader announces itself and follows a link as `table` and `list` do; the writer unlinks the
//! block, frees it, marks its unit and punches it, by `heap`, `hole` and `reading` as they are.

use crate::process::{self, caller};
use courtyard_core::heap;
use courtyard_core::inside::hole::Step;
use courtyard_core::inside::reading::Reading;
use courtyard_core::layout::{self, UNIT, bits, block, slot, superblock};
use courtyard_core::mortal::{self, IMMORTAL};
use courtyard_core::offset::LockWord;
use courtyard_core::participant::Participant;
use courtyard_core::seed;
use courtyard_core::segment::{DATA, Segment};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use std::sync::Arc;

/// The block of the first unit; in the second, which stays in use, are a lock and the link to it.
const OLD: u64 = DATA;
const PAYLOAD: u64 = OLD + block::LARGE;
const LOCK: LockWord = LockWord(DATA + UNIT);
const LINK: u64 = LOCK.0 + 8;
const BITMAP: u64 = layout::BITMAPS;

fn space() -> Arc<Space> {
    let counts = (0..2).flat_map(|slot| {
        let record = layout::slot_record(slot);
        [record + slot::READING, record + slot::READING_ALONE]
    });
    let heap = [
        superblock::UUID,
        superblock::UUID + 8,
        superblock::GROW_LOCK.0,
        superblock::GIVEN,
        superblock::GIVING,
        superblock::HEAP_LOCK.0,
        superblock::FRONTIER,
        superblock::FIRST_FREE,
        superblock::USED,
        superblock::BELL.0,
        BITMAP + bits::START,
        BITMAP + bits::FREE,
        BITMAP + bits::GIVEN,
        PAYLOAD,
        LOCK.0,
        LINK,
    ];
    let slots = (0..2).flat_map(|slot| Segment::slot(slot, 6));
    let start = [
        (superblock::FRONTIER, 2),
        (superblock::USED, 2),
        (BITMAP + bits::START, 0b11),
        (LINK, OLD),
        (PAYLOAD, 1),
    ];
    process::space(slots.chain(counts).chain(heap), &start)
}

/// Follows the link twice: what was read first may be old by the second time.
fn read(segment: &Segment, record: u64) {
    let _reading = Reading::at(segment, record);
    let block = segment.word(LINK).load(Ordering::Relaxed);
    if block == 0 {
        return;
    }
    let given = segment.word(BITMAP + bits::GIVEN).load(Ordering::Relaxed);
    if given & 1 == 0 {
        let payload = segment.word(PAYLOAD).load(Ordering::Relaxed);
        assert_eq!(payload, 1, "read in a hole");
    }
}

fn give_back(space: &Space, participant: &Participant) -> bool {
    let caller = caller(space, participant);
    let marked = caller.mark(2, 1).unwrap();
    marked && matches!(caller.punch(), Ok(Step::Given(_)))
}

fn meet() {
    let space = space();
    let segment = &space.segment;
    let read = |space: &Space, reader: &Participant| {
        read(&space.segment, layout::slot_record(reader.me.slot));
    };
    let write = |space: &Space, writer: &Participant| {
        let freed = caller(space, writer).run(|operation| {
            operation.lock(LOCK)?;
            operation.write(LINK, 0);
            operation.lock(superblock::HEAP_LOCK)?;
            heap::release(operation, OLD)?;
            operation.commit();
            Ok(())
        });
        freed.unwrap();
        give_back(space, writer)
    };
    let (_, given, writer) = process::beside(&space, process::pair(&space), IMMORTAL, read, write);
    if !given {
        let again = segment.live(1, IMMORTAL, || give_back(&space, &writer));
        assert_eq!(again, Some(true), "nobody reads, and it stays");
    }
    assert_eq!(segment.word(PAYLOAD).load(Ordering::Relaxed), 0);
}

#[test]
fn a_reader_and_who_gives_back() {
    mortal::explore("reader, giver", 4, meet);
}

#[test]
#[should_panic(expected = "read in a hole")]
fn catches_readers_that_nobody_asks_after() {
    let _seeded = seed::seed(seed::Bug::ReadersIgnored);
    mortal::explore("seed", 3, meet);
}

#[test]
#[should_panic(expected = "read in a hole")]
fn catches_a_reader_without_a_fence() {
    let _seeded = seed::seed(seed::Bug::ReadWithoutFence);
    mortal::explore("seed", 3, meet);
}
