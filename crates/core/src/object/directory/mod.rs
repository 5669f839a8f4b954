//! Which objects there are, who holds them, and which pickles are under way.

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
