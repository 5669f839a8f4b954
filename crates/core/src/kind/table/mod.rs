//! The table behind dicts and sets: keys and values in shards, in order of insertion.

mod batch;
mod change;
mod destroy;
mod end;
mod entry;
mod fast;
mod grow;
mod kind;
mod known;
mod pass;
mod read;
mod recent;
mod removal;
mod snapshot;
mod state;
mod watch;

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
pub use watch::{Change, Watch};
