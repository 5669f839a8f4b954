//! Blocks: runs of units by bitmaps, small ones in chunks, a few at hand in magazines.
//!
//! Of each unit below the frontier the first bitmap says whether a run starts there, the second
//! whether that run is free. So a run is split or joined by changing one or two bits. A chunk is
//! a run cut into blocks of one class, with a bitmap of its own; chunks with free blocks are
//! linked in a list per class.
//!
//! | a block is in   | where that is written                    | changed under                |
//! | --------------- | ---------------------------------------- | ---------------------------- |
//! | its bitmap      | the chunk's bitmap, or the run's free bit | the heap lock                |
//! | a magazine      | the thread's record                      | its thread's record alone    |
//! | pending         | the participant's table of pending blocks | that participant's records   |
//! | live            | one word that links it                   | that word's lock             |
//! | retired         | the list of retired blocks               | the retired lock             |
//!
//! A small block never starts on a unit's first byte, a large one always does.

mod block;
mod chunk;
mod unit;
mod walk;

pub use block::{
    allocate, allocate_units, block_of, discard, free, given, head, mark, payload, size, unmark,
};
pub use chunk::{flush, flush_all, refill, release, release_empty};
pub use unit::{is_large, is_scarce};
pub use walk::{Walk, tally, walk};
