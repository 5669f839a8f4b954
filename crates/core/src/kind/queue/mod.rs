//! The queue: a ring of pages between a put lock and a get lock.
//!
//! | at               | word     | guarded by | meaning                                                         |
//! | ---------------- | -------- | ---------- | --------------------------------------------------------------- |
//! | 0                | lock     |            | the put lock                                                    |
//! | `object::EVENT`  | items    |            | changes with every item put or come back                        |
//! | `SEQUENCE`       | sequence | get lock   | around changes of what is in flight                             |
//! | `TAIL`           | tail     | put lock   | where the next record goes                                      |
//! | `GET_LOCK`       | lock     |            | the get lock                                                    |
//! | `HEAD`           | head     | get lock   | the oldest record                                               |
//! | `ROOM`           | room     |            | changes with every item taken                                   |
//! | `RETURNED`       | returned | get lock   | a stack of blocks served before the ring                        |
//! | `REQUEUED`       | requeued | get lock   | items back from a lease, by when each is due: a treap of blocks |
//! | `STACKED`        | stacked  | get lock   | how many blocks are on the stack                                |
//! | `LEASED`         | leased   | get lock   | how many items are out on a lease                               |
//! | `DONE`           | done     | get lock   | items done with, by `task_done` and for the dead                |
//! | `SURPLUS`        | surplus  | get lock   | items done with by others than who took them                    |
//! | `MAXIMUM`        | maximum  | put lock   | how many items there may be, or 0                               |
//! | `CLOSING`        | closing  | put lock   | odd after `shutdown`; more with each, and each `reopen`         |
//! | `FINISHED`       | finished |            | changes with `DONE`, and with every item taken on a lease       |
//! | `PAGES`          | page     | put lock   | any page of the circle                                          |
//! | `ORDER`          | order    | once       | which item is taken first: an `Order`; `COUNTED`                |
//! | `TREE`           | tree     | get lock   | the block of a priority queue's words                           |
//! | `TREE_ROOM`      | room     | get lock   | how many words fit there                                        |
//! | `FILLED`         | filled   | get lock   | how many are there                                              |
//! | `TURN`           | lock     |            | the user-level lock of who works on the tree                    |
//! | `REQUEUED_COUNT` | count    | get lock   | how many items are requeued                                     |
//! | `DUE_EPOCH`      | epoch    | get lock   | counts the boots of the machine at which items were requeued    |
//! | `DUE_BOOT`       | boot     | get lock   | the last of these                                               |
//! | `MAXBYTES`       | maximum  | once       | how many bytes the items may count, or 0: `bytes`               |
//! | `PUT_BYTES`      | bytes    | put lock   | of items put                                                    |
//! | `GOT_BYTES`      | bytes    | get lock   | of items taken and done with                                    |
//! | `LEASED_BYTES`   | bytes    | get lock   | of items out on a lease                                         |
//!
//! A page is a unit of the heap; pages form a circle by their first word, changed under the put
//! lock. A record: `ordinal << 32 | kind << 24 | length`, then the bytes, filled to whole words.
//! The kinds below `WORD_KINDS` say what the bytes are; others are the codec's. At the tail is
//! the head of a record to come, with its ordinal, so that the difference of the two ordinals is
//! the number of items. One store to the tail publishes an item, one to the head takes it, and
//! what is behind a store before it means nothing.

mod batch;
mod bytes;
mod clear;
mod destroy;
mod due;
mod end;
mod first;
mod front;
mod item;
mod kind;
mod lease;
mod page;
mod peek;
mod requeue;
mod ring;
mod sample;
mod state;
mod tail;
mod tree;

pub use batch::{Item, Items, Run, add_record, get_run, get_word, put_run, starts_with_word};
pub use bytes::{LEAST_BYTES, bytes, bytes_of, maximum_bytes, never_fits, of_block, of_new};
pub use clear::{clear, free_cleared};
pub use due::{When, has_requeued, until_due};
pub use end::{End, end, end_later};
pub use front::{
    Place, get, get_but, get_fast, get_fast_but, look, look_at, put_back, put_back_later, take_at,
    task_done, task_done_later,
};
pub use item::{
    Got, NewItem, Put, attempts, contents, fill, length_linked, prepare, prepare_linked, reserve,
};
pub use kind::KIND;
pub use lease::{Lease, count_in, finish, give_back, lease, leased_by_others, taken, withdraw};
pub use page::{Bounds, create, drop_pages, lay_out};
pub use peek::{LONGEST_SEEN, Look, Seen, peek};
pub use requeue::{drop_requeued, promote, requeue, transfer};
pub use state::{
    EVENTS, FINISHED, FIRST_RECORD, GET_LOCK, INLINE, ITEMS, JUMP_ROOM, LENGTH, Order, Queue, ROOM,
    VALUE_WORD, WORD_KINDS, counts, is_closing, is_over, maximum, reopen, set_maximum, shut_down,
    shutdowns, unfinished,
};
pub use tail::{put, put_fast};
pub use tree::{Sift, block_of, end_turn, filled, insert, try_turn, turn, word};
