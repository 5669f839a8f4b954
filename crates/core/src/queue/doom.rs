//! Taking a queue apart that nobody holds any more: one piece a record.

use super::bytes::stop_counting;
use super::{
    A_BLOCK, A_JUMP, FILLED, HEAD, PAGES, RETURNED, TAIL, TREE, block_of, head_of, payload_of,
    read, requeue, word,
};
use crate::doom;
use crate::error::{Attempt, corrupt};
use crate::heap;
use crate::layout::{WORD, block};
use crate::operation::Operation;

/// Writes and commits the record that frees the next piece of the first doomed queue, in the end
/// the queue itself; the directory lock is held, which guards all of it by now.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`: the queue is then dropped from the list.
///
/// # Crash
/// Each record detaches one block and frees it, or dooms it before the queue if it names objects.
pub fn crumble(operation: &mut Operation, root: u64, cell: u64) -> Attempt<()> {
    let segment = operation.segment;
    stop_counting(operation, cell);
    let returned = operation.read(cell + RETURNED);
    if returned != 0 {
        let next = operation.read(payload_of(segment, returned)?);
        operation.write(cell + RETURNED, next);
        doom::discard(operation, returned)?;
        operation.commit();
        return Ok(());
    }
    if let Some(requeued) = requeue::detach(operation, cell)? {
        doom::discard(operation, requeued)?;
        operation.commit();
        return Ok(());
    }
    let tree = operation.read(cell + TREE);
    if tree != 0 {
        match operation.read(cell + FILLED).checked_sub(1) {
            None => {
                operation.write(cell + TREE, 0);
                heap::discard(operation, tree)?;
            }
            Some(last) => {
                operation.write(cell + FILLED, last);
                if let Some(item) = block_of(segment, word(segment, cell, last)?)? {
                    doom::discard(operation, item)?;
                }
            }
        }
        operation.commit();
        return Ok(());
    }
    let (mut head, tail) = (operation.read(cell + HEAD), operation.read(cell + TAIL));
    let mut steps = 0;
    while head != tail {
        let header = head_of(segment, head)?;
        let value = read(segment, head + WORD);
        match header.kind() {
            A_JUMP => head = value,
            A_BLOCK => {
                operation.write(cell + HEAD, head + header.size());
                segment.check_range(value, block::SMALL)?;
                doom::discard(operation, value)?;
                operation.commit();
                return Ok(());
            }
            _ => head += header.size(),
        }
        steps += 1;
        if steps > segment.size() / WORD {
            return Err(corrupt("the records of a queue have no end").into());
        }
    }
    operation.write(cell + HEAD, tail);
    let page = operation.read(cell + PAGES);
    if page == 0 {
        doom::bury(operation, root)?;
        operation.commit();
        return Ok(());
    }
    segment.check_range(page, block::LARGE + WORD)?;
    let next = operation.read(page + block::LARGE);
    if next == page {
        operation.write(cell + PAGES, 0);
        heap::discard(operation, page)?;
    } else {
        segment.check_range(next, block::LARGE + WORD)?;
        let after = operation.read(next + block::LARGE);
        operation.write(page + block::LARGE, after);
        heap::discard(operation, next)?;
    }
    operation.commit();
    Ok(())
}
