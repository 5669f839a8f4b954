//! Blocks: runs of units by bitmaps, small ones in chunks, a few at hand in magazines.

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
