//! The table behind dicts and sets: keys and values in shards, in order of insertion.
//!
//! An object of kind `TABLE`; its lock is the user's (`get_lock()`), its event is everybody's. In the
//! payload are the shards, a line each, and which one a key belongs to its hash says:
//!
//! | at | word     | guarded by  | meaning                                                      |
//! | -- | -------- | ----------- | ------------------------------------------------------------ |
//! |  0 | lock     |             | the shard's lock: every change                               |
//! |  8 | sequence | the lock    | odd during a change; half of it counts the changes           |
//! | 16 | block    | the lock    | `block | log2(slots)`; 0: nothing was ever put here          |
//! | 24 | count    | the lock    | how many entries there are                                   |
//! | 32 | used     | the lock    | places of the order that were given out                      |
//! | 40 | first    | the lock    | no entry is before this place                            |
//!
//! The block holds the *index*, by hash with open addressing, and the *order*, by insertion. When
//! the order is full both are built anew aside, and one record exchanges the blocks. A word of the
//! index: `entry << 16 | fingerprint`; `EMPTY` was never used, `DELETED` was. A word of the order:
//! an entry, or 0.
//!
//! An entry is a block of its own. It never moves, and but for its value and its place it never
//! changes. Another value in the entry comes with another entry, or in place of the old one under the
//! sequence, where there is room.
//!
//! | at | word  | meaning                                                                       |
//! | -- | ----- | ----------------------------------------------------------------------------- |
//! |  0 | shape | as in every block                                                             |
//! |  8 | stamp | its turn of insertion, in the whole space; below zero if it was put first     |
//! | 16 | value | a value word; a block's offset; or `INLINE | kind << 8 | length << 16`         |
//! | 24 | meta  | `place in the order << 32 | HAS_ORIGINAL | tag << 26 | length of the key`      |
//! | 32 | key   | its bytes; then the original, `length << 8 | kind` and bytes; then the value   |
//!
//! Readers take no lock: they copy out under the sequence. Freed blocks stay mapped, so what they
//! follow meanwhile may be nonsense but is memory.

mod batch;
mod change;
mod destroy;
mod end;
mod entry;
mod fast;
mod grow;
mod kind;
mod pass;
mod read;
mod removal;
mod snapshot;
mod state;

pub use batch::{Batch, Merge};
pub use change::{Item, When, store};
pub use end::{End, Popped, Seen as EndSeen, move_to_end, pop_end, pop_end_if, remove_end};
pub use entry::Inline;
pub use fast::{OptimisticRead, Seen, change_fast, is_known, peek, remove_fast, store_fast};
pub use kind::{ENTRY, INDEX, KIND, WORDS};
pub use pass::store_all;
pub use read::{Token, contains, find};
pub use removal::{clear, remove, take, take_if};
pub use snapshot::{Pair, Pairs, Want, first, length, snapshot};
pub use state::{KEY_MOST, Key, LENGTH, SHARDS, Table, count, create, quiesce, version};
