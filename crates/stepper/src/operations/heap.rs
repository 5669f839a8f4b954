//! Blocks of one's own: taken, given back, moved between magazine and chunk, from a grown heap.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{block, caller, fill, warm};
use courtyard_core::layout::{self, UNIT, superblock};
use courtyard_core::os::fault;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{folder, heap};

type Blocks = Vec<PendingBlock<'static>>;

/// Leaves a run of which all pages have gone back, and no other that holds as much: the reserve that a
/// trim leaves is in a run before it.
fn trimmed(space: &'static Space) -> Blocks {
    let units = |count: u64| block(space, count * UNIT - layout::block::LARGE);
    let (reserve, between) = (units(layout::RESERVE), units(1));
    let run = block(space, 1_500_000);
    let mut held = fill(space);
    held.push(between);
    drop((reserve, run));
    space.trim(&unlimited).expect("to trim");
    held
}

/// All of them end with their process, so the space is always as before.
fn own<R: 'static>(
    name: &str,
    ready: impl Fn(&'static Space) -> R + 'static,
    act: impl Fn(&'static Space, R) + 'static,
) -> Entry {
    play(
        name,
        Ends::AsBefore,
        warm,
        move |space, ()| ready(space),
        move |space, (), state| act(space, state),
        |_, ()| Ok(Outcome::Before),
    )
}

fn blocks(space: &'static Space, count: usize, length: u64) -> Blocks {
    (0..count).map(|_| block(space, length)).collect()
}

fn keep(blocks: Blocks) {
    blocks.into_iter().for_each(std::mem::forget);
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(own(
        "allocate small, from the magazine",
        |space| drop(block(space, 10)),
        |space, ()| keep(blocks(space, 1, 10)),
    ));
    entries.push(own(
        "allocate small, refill",
        |_| (),
        |space, ()| keep(blocks(space, 1, 10)),
    ));
    entries.push(own(
        "allocate small, new chunk",
        |_| (),
        |space, ()| keep(blocks(space, 1, 5000)),
    ));
    entries.push(own(
        "allocate small, chunk used up",
        |space| blocks(space, 7, 30_000),
        |space, held| {
            keep(blocks(space, 1, 30_000));
            keep(held);
        },
    ));
    entries.push(own(
        "allocate large",
        |_| (),
        |space, ()| keep(blocks(space, 1, 50_000)),
    ));
    entries.push(own(
        "allocate large, from a free run",
        |space| {
            let mut held = blocks(space, 2, 50_000);
            drop(held.remove(0));
            held
        },
        |space, held| {
            keep(blocks(space, 1, 20_000 + 16_000));
            keep(held);
        },
    ));
    // No free run is as long, but the one at the end with the units behind it.
    entries.push(own(
        "allocate large, the last free run and more",
        |space| {
            let mut held = blocks(space, 2, 50_000);
            drop(held.pop());
            held
        },
        |space, held| {
            keep(blocks(space, 1, 80_000));
            keep(held);
        },
    ));
    // The free run begins in the units that are left to chunks: it begins behind them.
    entries.push(own(
        "allocate large, inside a free run",
        |space| drop(block(space, 900_000)),
        |space, ()| keep(blocks(space, 1, 400_000)),
    ));
    entries.push(own(
        "allocate large, growing the heap",
        |_| (),
        |space, ()| keep(blocks(space, 1, 400_000)),
    ));
    // The generous step does not fit: its bitmap does, its pages don't. The needed one does.
    entries.push(own(
        "allocate large, growing a file system nearly full",
        |_| fault::arm("fallocate", 1, libc::ENOSPC, false),
        |space, ()| {
            keep(blocks(space, 1, 400_000));
            assert!(!fault::disarm(), "no growth was refused");
        },
    ));
    // The heap may not grow: what is at hand for small blocks has to make room.
    entries.push(own(
        "allocate large, chunks given back",
        |space| {
            drop(block(space, 30_000));
            caller(space).run(heap::flush_all).expect("to flush"); // an empty chunk is kept
            let (segment, word) = (&space.segment, superblock::FRONTIER);
            let size = segment.size() - segment.data();
            folder::set_limit(space, size);
            let used = segment.word(word).load(Ordering::Relaxed) * UNIT;
            let rest = ((size - used) / UNIT).saturating_sub(layout::RESERVE) * UNIT;
            (rest > 0).then(|| block(space, rest - layout::block::LARGE))
        },
        |space, filler| {
            keep(blocks(space, 1, 200_000));
            std::mem::forget(filler);
        },
    ));
    // There are free units, and no run for a chunk of their class: a smaller one has to do.
    for (length, what) in [(5000, "one unit"), (30_000, "three units")] {
        entries.push(own(
            &format!("allocate small, a chunk of {what}"),
            |space| {
                let mut held = blocks(space, 1, 3 * UNIT - layout::block::LARGE);
                held.extend(fill(space));
                drop(held.remove(0));
                held
            },
            move |space, held| {
                keep(blocks(space, 1, length));
                keep(held);
            },
        ));
    }
    // Reserved in one piece, and where few are needed with some more.
    for (name, length) in [("large", 1_500_000), ("few", 100_000)] {
        entries.push(own(
            &format!("allocate {name}, reserved"),
            trimmed,
            move |space, held| {
                keep(blocks(space, 1, length));
                keep(held);
            },
        ));
    }
    entries.push(own(
        "allocate large, reserved in vain",
        |space| {
            drop(block(space, 1_500_000));
            space.trim(&unlimited).expect("to trim");
            fault::arm("fallocate", 0, libc::ENOSPC, false);
        },
        |space, ()| {
            keep(blocks(space, 1, 1_500_000)); // what is kept makes room, in the next attempt
            assert!(!fault::disarm(), "no reservation was refused");
        },
    ));
    entries.push(own(
        "allocate large, the last run reserved and the heap grown",
        |space| {
            drop(block(space, 1_500_000));
            space.trim(&unlimited).expect("to trim");
        },
        |space, ()| keep(blocks(space, 1, 2_500_000)),
    ));
    entries.push(own(
        "free large, and give it back",
        |space| blocks(space, 1, 4_000_000),
        |_, held| drop(held),
    ));
    entries.push(own(
        "give all back",
        |space| drop(blocks(space, 3, 50_000)),
        |space, ()| {
            assert!(space.trim(&unlimited).expect("to trim") > 0);
        },
    ));
    // Its rows of pending blocks are all taken: it adds a segment first.
    entries.push(own(
        "allocate small, adding rows",
        |space| blocks(space, 63, 10),
        |space, held| {
            keep(blocks(space, 1, 10));
            keep(held);
        },
    ));
    entries.push(own(
        "free small, from a row that was added",
        |space| blocks(space, 65, 10),
        |_, mut held| {
            drop(held.pop());
            keep(held);
        },
    ));
    entries.push(own(
        "free small, into the magazine",
        |space| blocks(space, 1, 10),
        |_, held| drop(held),
    ));
    entries.push(own(
        "free small, flush",
        |space| {
            let mut held = blocks(space, 12, 10);
            held.truncate(4); // the magazine is full now
            held
        },
        |_, held| drop(held),
    ));
    entries.push(own(
        "free small, chunk emptied",
        |space| {
            let mut held = blocks(space, 16, 30_000);
            held.truncate(8);
            held
        },
        |_, held| drop(held),
    ));
    entries.push(own(
        "free large",
        |space| blocks(space, 1, 50_000),
        |_, held| drop(held),
    ));
    entries.push(own(
        "free large, joining both neighbours",
        |space| {
            let mut held = blocks(space, 4, 40_000);
            drop(held.remove(2));
            drop(held.remove(0));
            held
        },
        |_, mut held| {
            drop(held.remove(0));
            keep(held);
        },
    ));
}
