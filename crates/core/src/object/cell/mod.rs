//! One value: a scalar in a word, bytes in place, or a stored object behind a word.
//!
//! | at | word     | changed by                                                         |
//! | -- | -------- | ------------------------------------------------------------------ |
//! |  0 | lock     | every writer of a guarded cell, and `get_lock()`'s holder           |
//! |  8 | owner    | `thread << 32 | RECOVERED | count`: get_lock()'s, under the lock    |
//! | 16 | event    | every change                                                       |
//! | 24 | sequence | around changes of more than one word                               |
//! | 32 | shape    | `length << 8 | kind`, once                                         |
//! | 40 | data     | the scalar, or the stored object's word                            |
//! | 48 | payload  | bytes in place, from the next line on                              |
//!
//! Every write touches lock, event and data, so they share a line.

mod array;
mod bytes;
mod head;
mod owner;
mod removal;
mod scalar;
pub mod sequence;
mod stored;

pub use array::{Pieces, read_pieces, read_range, read_to_zero, touch, write_pieces};
pub use bytes::{read_bytes, write_bytes};
pub use head::{
    BARRIER, BYTES, CONDITION, DATA, EVENT, FLAG, KIND, LIST, MUTEX, OWNER, PAYLOAD, QUEUE,
    RECOVERED, RMUTEX, SCALAR, SEMAPHORE, SEQUENCE, SHAPE, STORED, TABLE, Writer, at, create,
    create_with, guard, is_mine, least, open, payload, unlisted,
};
pub use owner::{Entered, count, enter, exit, is_recovered, levels};
pub use removal::{blocks, destroy};
pub use scalar::{change, change_fast};
pub use stored::{
    BLOCK_TAG, Found, Fresh, Pinned, Stored, TAG_MASK, Token, find, linked, load, pinned, prepare,
    shape_of, store,
};
