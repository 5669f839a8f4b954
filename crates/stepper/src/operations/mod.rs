//! Every operation of the engine, in the states that matter.

mod array;
mod bytes;
mod directory;
mod heap;
mod life;
mod link;
mod linked;
mod list;
mod name;
mod object;
mod place;
mod primitive;
mod queue;
mod requeue;
mod stored;
mod table;
mod tree;
mod waiting;

use crate::entry::Entry;

pub fn all() -> Vec<Entry> {
    let mut entries = Vec::new();
    heap::add(&mut entries);
    object::add(&mut entries);
    array::add(&mut entries);
    stored::add(&mut entries);
    directory::add(&mut entries);
    name::add(&mut entries);
    life::add(&mut entries);
    link::add(&mut entries);
    linked::add(&mut entries);
    place::add(&mut entries);
    primitive::add(&mut entries);
    queue::add(&mut entries);
    requeue::add(&mut entries);
    bytes::add(&mut entries);
    tree::add(&mut entries);
    waiting::add(&mut entries);
    table::add(&mut entries);
    list::add(&mut entries);
    entries
}
