//! The queue: a ring of pages between a put lock and a get lock.

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
