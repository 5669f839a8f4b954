//! Taking the first item out of a queue of any order.

use super::due;
use super::ring::{First, front};
use super::state::{A_BLOCK, HEAD, Order, REQUEUED, RETURNED, STACKED, order_of};
use super::tree::{self, Sift};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::offset::Object;

/// Writes the entries that take the first item out of the queue; the get lock is held.
pub(super) fn first(
    operation: &mut Operation,
    object: Object,
    sift: Option<&Sift>,
) -> Attempt<Option<First>> {
    let segment = operation.segment;
    let returned = operation.read(object + RETURNED);
    // On a stack what is due comes first; in a line what was given back at once.
    let may_be_due = operation.read(object + REQUEUED) != 0
        && sift.is_none() // else it has its place in the tree by now
        && (returned == 0 || order_of(segment, object) == Order::Lifo as u64);
    if may_be_due && let Some(block) = due::take_due(operation, object)? {
        return Ok(Some(First::Block(block)));
    }
    if returned != 0 {
        unstack(operation, object, returned)?;
        return Ok(Some(First::Block(returned)));
    }
    if let Some(sift) = sift {
        let word = tree::remove(operation, object, sift)?;
        let block = tree::block_of(segment, word)?;
        return Ok(Some(block.map_or(First::Word(word), First::Block)));
    }
    let Some(front) = front(segment, object)? else {
        return Ok(None);
    };
    operation.write(object + HEAD, front.end());
    if front.header.kind() != A_BLOCK {
        return Ok(Some(First::Ring(front)));
    }
    let item = front.word(segment);
    super::state::payload_of(segment, item)?;
    Ok(Some(First::Block(item)))
}

/// Writes the entries that take the first block off the stack.
pub(super) fn unstack(operation: &mut Operation, object: Object, block: u64) -> Result<()> {
    let next = operation.read(super::state::payload_of(operation.segment, block)?);
    operation.write(object + RETURNED, next);
    let stacked = operation.read(object + STACKED);
    operation.write(object + STACKED, stacked.saturating_sub(1));
    operation.sequence(object + super::state::SEQUENCE);
    Ok(())
}
