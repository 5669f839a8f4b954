//! Which objects there are, who holds them, and which pickles are under way.
//!
//! An object's row: `serial | root block | references | kind | name`; in a free row the serial is 0
//! and the word of the kind is the next free row + 1. References are the memberships, the open tickets and
//! the links of stored values. The name is its row among the names, + 1; 0: it has none. The row outlives the object, so that a serial is always
//! checked against a serial, never against another object's data.
//!
//! A ticket's row: `id | object row + 1 | sender | deadline`; in a free row the id is 0 and the
//! second word the next free row + 1. All of it is guarded by the directory lock.

mod bucket;
mod create;
mod link;
mod member;
mod name;
mod row;
mod ticket;

pub use crate::memory::layout::OBJECT_ROW;
pub use bucket::NAME_ROW;
pub use create::create;
pub use link::join;
pub(crate) use link::{link, unlink};
pub(crate) use member::drop_member;
pub use member::{MEMBER_ROW, copy_members, is_member, leave, let_go, settle_members};
pub use name::{
    Entry, LONGEST_NAME, Named, bind, check_names, count, entry_of, held_by_names, lookup, name_of,
    names, unbind,
};
pub(crate) use row::find;
pub use row::{Listed, count_wait, list, listed, root, waits};
pub use ticket::{TICKET_ROW, Ticket, expire, receive, send, tickets};
