//! Objects: how they are found and held, and what the first words of each are.

mod array;
mod bytes;
pub mod directory;
mod head;
pub mod holding;
pub(crate) mod kind;
pub mod link;
mod owner;
mod removal;
#[doc(hidden)]
pub mod rows;
pub(crate) mod sample;
mod scalar;
pub(crate) mod sequence;
mod stored;

pub use array::{Pieces, read_pieces, read_range, read_to_zero, touch, write_pieces};
pub use bytes::{read_bytes, write_bytes};
pub use head::{
    BARRIER, BYTES, CONDITION, DATA, EVENT, FLAG, KIND, LIST, MUTEX, OWNER, PAYLOAD, QUEUE,
    RECOVERED, RMUTEX, SCALAR, SEMAPHORE, SEQUENCE, SHAPE, STORED, TABLE, Writer, at, create,
    create_with, guard, is_mine, least, open, payload, unlisted,
};
pub use owner::{Entered, count, enter, exit, exit_and_notify, holder, is_recovered, levels};
pub use removal::{blocks, destroy};
pub use scalar::{change, change_fast};
pub use stored::{
    BLOCK_TAG, Found, NewValue, Pinned, Stored, TAG_MASK, Token, find, linked, load, pinned,
    prepare, shape_of, store,
};
