//! Which kinds there are: of objects, and of blocks that name others.

use super::{barrier, condition, flag, list, mutex, queue, semaphore, table};
use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::kind;
use crate::memory::segment::Segment;
use crate::object;
use crate::object::holding::HoldingRow;
use crate::object::kind::{Kind, Part};
use crate::object::sample::Sample;
use crate::offset::{Object, Root};
use crate::space::{Blocks, Space, deferred_free};

/// What a kind of object provides, by the number in its objects' shape; None: there is no such kind.
#[inline]
pub fn of(number: u64) -> Option<&'static Kind> {
    Some(match number {
        object::SCALAR | object::STORED => &Kind::PLAIN,
        object::BYTES => &Kind::ARRAY,
        object::MUTEX => &mutex::LOCK,
        object::RMUTEX => &mutex::RLOCK,
        object::FLAG => &flag::KIND,
        object::SEMAPHORE => &semaphore::KIND,
        object::CONDITION => &condition::KIND,
        object::BARRIER => &barrier::KIND,
        object::QUEUE => &queue::KIND,
        object::TABLE => &table::KIND,
        object::LIST => &list::KIND,
        _ => return None,
    })
}

/// What a kind of block with contents provides, by the number in its shape.
fn part(number: u64) -> Option<&'static Part> {
    Some(match number {
        kind::TABLE => &table::INDEX,
        kind::ENTRY => &table::ENTRY,
        kind::WORDS => &table::WORDS,
        kind::RING => &list::RING,
        kind::LINKED | kind::LINKED_ITEM => &Part::LINKED,
        _ => return None,
    })
}

/// The kind of the object in a root block, and the object's first word.
fn at(segment: &Segment, root: Root) -> Result<(&'static Kind, Object)> {
    let (object, number, length) = object::at(segment, root)?;
    match of(number).filter(|kind| kind.length.is_none_or(|own| own == length)) {
        Some(kind) => Ok((kind, object)),
        None => {
            let what = format!("an object of kind {number} and {length} bytes");
            Err(corrupt(what))
        }
    }
}

/// Writes the entries that free an object of any kind with its last reference.
pub fn destroy(operation: &mut Operation, root: Root) -> Attempt<()> {
    let (kind, object) = at(operation.segment, root)?;
    (kind.destroy)(operation, root, object)
}

/// Writes and commits the record that frees the next piece of a block on the list of deferred frees.
pub fn free_step(space: &Space, operation: &mut Operation, block: u64) -> Attempt<()> {
    let number = deferred_free::kind_of(operation.segment, block);
    if number == object::KIND {
        let root = Root(block);
        let (kind, object) = at(operation.segment, root)?;
        return (kind.free_step)(operation, root, object);
    }
    let part = part(number).ok_or_else(|| no_part(number))?;
    (part.free_step)(space, operation, block)
}

/// Writes the entries that give back to an object what a dead participant held of it.
pub fn settle(operation: &mut Operation, root: Root, row: HoldingRow, ended: bool) -> Attempt<()> {
    let (kind, object) = at(operation.segment, root)?;
    (kind.settle)(operation, object, row, ended)
}

/// What a block with contents, or an object's root, consists of.
///
/// # Errors
/// `Corrupt` for what is none.
pub fn blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    let number = deferred_free::kind_of(segment, block);
    if number == object::KIND {
        let root = Root(block);
        let (kind, object) = at(segment, root)?;
        return (kind.blocks)(segment, root, object);
    }
    let part = part(number).ok_or_else(|| no_part(number))?;
    (part.blocks)(segment, block)
}

/// Some of the blocks of an object, each with how many it stands for; all of them if these are few.
///
/// # Errors
/// `Corrupt` for what is no root.
#[cfg_attr(loom, allow(dead_code))]
pub fn sample(segment: &Segment, root: Root) -> Result<Sample> {
    let (kind, object) = at(segment, root)?;
    (kind.sample)(segment, root, object)
}

fn no_part(number: u64) -> Error {
    corrupt(format!("a block of kind {number} has no contents"))
}
