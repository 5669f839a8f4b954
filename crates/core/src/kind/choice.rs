//! What depends on which kind an object is of: taking it apart, freeing it step by step, what the dead
//! held of it, and what it consists of.

use super::{barrier, condition, list, queue, semaphore, table};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::memory::layout::kind;
use crate::memory::segment::Segment;
use crate::object::sample::Sample;
use crate::object::{cell, link};
use crate::space::{self, Space, doom};
use crate::value;

/// Writes the entries that take an object of any kind apart.
pub fn dismantle(operation: &mut Operation, kind: u64, root: u64) -> Attempt<()> {
    if kind != cell::KIND {
        return Err(corrupt(format!("an object of unknown kind {kind}")).into());
    }
    let (cell, kind, _) = cell::at(operation.segment, root)?;
    if kind == cell::TABLE {
        return table::condemn(operation, root, cell);
    }
    if kind == cell::LIST {
        return list::condemn(operation, root, cell);
    }
    if kind != cell::QUEUE {
        return cell::dismantle(operation, root);
    }
    if !queue::dismantle(operation, root, cell)? {
        doom::condemn(operation, root)?;
    }
    Ok(())
}

/// Writes and commits the record that frees the next piece of a doomed block.
pub fn crumble(space: &Space, operation: &mut Operation, block: u64) -> Attempt<()> {
    match doom::kind_of(operation.segment, block) {
        cell::KIND => match cell::at(operation.segment, block)? {
            (cell, cell::QUEUE, queue::LENGTH) => queue::crumble(operation, block, cell),
            (cell, cell::TABLE, table::LENGTH) => table::crumble_cell(operation, block, cell),
            (cell, cell::LIST, list::LENGTH) => list::crumble_cell(operation, block, cell),
            (_, kind, _) => Err(corrupt(format!("a cell of kind {kind} is doomed")).into()),
        },
        kind::TABLE => table::crumble_table(operation, block),
        kind::ENTRY => table::crumble_entry(operation, block),
        kind::RING => list::crumble_ring(operation, block),
        kind::WORDS => value::crumble_words(operation, block),
        kind::LINKED | kind::LINKED_ITEM => link::crumble(space, operation, block),
        kind => Err(corrupt(format!("a block of kind {kind} is doomed")).into()),
    }
}

/// Writes the entries that give back to an object what a dead participant held of it.
pub fn settle(
    operation: &mut Operation,
    kind: u64,
    root: u64,
    row: u64,
    ended: bool,
) -> Attempt<()> {
    if kind != cell::KIND {
        return Err(corrupt(format!("an object of kind {kind} cannot be held")).into());
    }
    let (cell, kind, length) = cell::at(operation.segment, root)?;
    match (kind, length) {
        (cell::SEMAPHORE, semaphore::LENGTH) => semaphore::settle(operation, cell, row),
        (cell::CONDITION, condition::LENGTH) => condition::settle(operation, cell, row),
        (cell::QUEUE, queue::LENGTH) => queue::settle(operation, cell, row),
        (cell::BARRIER, barrier::LENGTH) => barrier::settle(operation, cell, row, ended),
        _ => Err(corrupt(format!("a cell of kind {kind} cannot be held")).into()),
    }
}

/// What a block with contents, or an object's root, consists of.
///
/// # Errors
/// `Corrupt` for what is none.
pub fn blocks(segment: &Segment, block: u64) -> Result<space::Blocks> {
    match doom::kind_of(segment, block) {
        cell::KIND => match cell::at(segment, block)? {
            (cell, cell::QUEUE, queue::LENGTH) => queue::blocks(segment, block, cell),
            (cell, cell::TABLE, table::LENGTH) => table::blocks(segment, block, Some(cell)),
            (cell, cell::LIST, list::LENGTH) => list::blocks(segment, block, Some(cell)),
            _ => cell::blocks(segment, block),
        },
        kind::RING => list::blocks(segment, block, None),
        kind::LINKED | kind::LINKED_ITEM => link::blocks(segment, block),
        _ => table::blocks(segment, block, None),
    }
}

/// Some of the blocks of an object, each with how many it stands for; all of them if these are few.
///
/// # Errors
/// `Corrupt` for what is no root.
pub fn sample(segment: &Segment, root: u64) -> Result<Sample> {
    match cell::at(segment, root)? {
        (cell, cell::QUEUE, queue::LENGTH) => queue::sample(segment, root, cell),
        (cell, cell::TABLE, table::LENGTH) => table::sample(segment, root, cell),
        (cell, cell::LIST, list::LENGTH) => list::sample(segment, root, cell),
        _ => cell::blocks(segment, root).map(Sample::from),
    }
}
