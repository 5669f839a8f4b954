//! Taking a queue apart that nobody holds any more: one piece a record.

use super::bytes::stop_counting;
use super::state::{
    A_BLOCK, A_JUMP, FILLED, GOT_BYTES, HEAD, PAGES, PUT_BYTES, REQUEUED, RETURNED, SEQUENCE, TAIL,
    TREE, head_of, payload_of, read,
};
use super::tree::{block_of, word};
use super::{bytes, due, tree};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{self, UNIT, WORD, block};
use crate::memory::segment::Segment;
use crate::object::link;
use crate::offset::{Object, Root};
use crate::room;
use crate::space::{Blocks, deferred_free};

/// Writes and commits the record that frees the next piece of the first queue on the list, in the end
/// the queue itself; the directory lock is held, which guards all of it by now.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`: the queue is then dropped from the list.
///
/// # Crash
/// Each record detaches one block and frees it, or defers the freeing of it before the queue if it
/// names objects.
pub(super) fn free_step(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    let segment = operation.segment;
    stop_counting(operation, object);
    let returned = operation.read(object + RETURNED);
    if returned != 0 {
        let next = operation.read(payload_of(segment, returned)?);
        operation.write(object + RETURNED, next);
        deferred_free::discard(operation, returned)?;
        operation.commit();
        return Ok(());
    }
    if let Some(requeued) = due::detach(operation, object)? {
        deferred_free::discard(operation, requeued)?;
        operation.commit();
        return Ok(());
    }
    let tree = operation.read(object + TREE);
    if tree != 0 {
        match operation.read(object + FILLED).checked_sub(1) {
            None => {
                operation.write(object + TREE, 0);
                heap::discard(operation, tree)?;
            }
            Some(last) => {
                operation.write(object + FILLED, last);
                if let Some(item) = block_of(segment, word(segment, object, last)?)? {
                    deferred_free::discard(operation, item)?;
                }
            }
        }
        operation.commit();
        return Ok(());
    }
    let (mut head, tail) = (operation.read(object + HEAD), operation.read(object + TAIL));
    let mut steps = 0;
    while head != tail {
        let header = head_of(segment, head)?;
        let value = read(segment, head + WORD);
        match header.kind() {
            A_JUMP => head = value,
            A_BLOCK => {
                operation.write(object + HEAD, head + header.size());
                segment.check_range(value, block::SMALL)?;
                deferred_free::discard(operation, value)?;
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
    operation.write(object + HEAD, tail);
    let page = operation.read(object + PAGES);
    if page == 0 {
        deferred_free::free_head(operation, root.0)?;
        operation.commit();
        return Ok(());
    }
    segment.check_range(page, block::LARGE + WORD)?;
    let next = operation.read(page + block::LARGE);
    if next == page {
        operation.write(object + PAGES, 0);
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

/// A number that changes with the queue's blocks, and the blocks that it consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn blocks(segment: &Segment, root: Root, object: Object) -> Result<Blocks> {
    let at = |offset| read(segment, object + offset);
    let version = || {
        at(TAIL)
            .wrapping_add(at(HEAD).rotate_left(32))
            .wrapping_add(at(RETURNED).rotate_left(16))
            .wrapping_add(at(REQUEUED).rotate_left(8))
            .wrapping_add(at(SEQUENCE))
            .wrapping_add(at(PUT_BYTES)) // a multiple of 8: whether it is odd is the sequence's
            .wrapping_sub(at(GOT_BYTES).wrapping_mul(3))
    };
    let first_version = version();
    let mut found = bytes::Found::new(segment, object);
    let mut all = Blocks {
        blocks: vec![root.0],
        ..Blocks::default()
    };
    let most = segment.size() / UNIT;
    let (first, mut page) = (at(PAGES), at(PAGES));
    while page != 0 {
        segment.check_range(page, block::LARGE + WORD)?;
        room::push(&mut all.blocks, page)?;
        page = read(segment, page + block::LARGE);
        if page == first {
            break;
        }
        if all.blocks.len() as u64 > most {
            return Err(corrupt("the pages of a queue have no end"));
        }
    }
    let mut stacked = at(RETURNED);
    while stacked != 0 {
        let payload = payload_of(segment, stacked)?;
        link::add(segment, &mut all, stacked)?;
        found.add_block(stacked)?;
        if all.blocks.len() as u64 > segment.size() / layout::LINE {
            return Err(corrupt("the stack of a queue has no end"));
        }
        stacked = read(segment, payload);
    }
    for block in due::blocks(segment, object, usize::MAX)? {
        link::add(segment, &mut all, block)?;
        found.add_block(block)?;
    }
    if at(TREE) != 0 {
        all.blocks.push(at(TREE));
        for index in 0..at(FILLED) {
            match tree::block_of(segment, tree::word(segment, object, index)?)? {
                None => found.add(WORD),
                Some(block) => {
                    link::add(segment, &mut all, block)?;
                    found.add_block(block)?;
                }
            }
        }
    }
    let (mut head, tail) = (at(HEAD), at(TAIL));
    let (pages, mut jumps) = (all.blocks.len(), 0);
    while head != tail {
        let header = head_of(segment, head)?;
        let word = read(segment, head + WORD);
        match header.kind() {
            A_JUMP if jumps > pages => {
                return Err(corrupt("the records of a queue have no end"));
            }
            A_JUMP => (head, jumps) = (word, jumps + 1),
            kind => {
                if kind == A_BLOCK {
                    link::add(segment, &mut all, word)?;
                    found.add_block(word)?;
                } else {
                    found.add(header.length());
                }
                head += header.size();
            }
        }
        if all.blocks.len() as u64 > segment.size() / layout::LINE {
            return Err(corrupt("the records of a queue have no end"));
        }
    }
    if version() == first_version {
        found.prove()?; // else all of it was not there at one moment
    }
    all.version = first_version;
    Ok(all)
}

/// Writes the entries that free a queue with its last reference: wholly if its root and a page are all
/// that it consists of.
///
/// # Errors
/// `Stop` as the heap and the directory have it; `Corrupt`.
pub(super) fn destroy(operation: &mut Operation, root: Root, object: Object) -> Attempt<()> {
    match only_page(operation, object)? {
        None => deferred_free::add(operation, root.0),
        Some(page) => {
            heap::discard(operation, page)?;
            heap::discard(operation, root.0)
        }
    }
}

/// The page of a queue that has no other and no items.
fn only_page(operation: &Operation, object: Object) -> Result<Option<u64>> {
    let read = |offset| operation.read(object + offset);
    let page = read(PAGES);
    let is_empty = [RETURNED, REQUEUED, TREE]
        .iter()
        .all(|&word| read(word) == 0);
    if read(HEAD) != read(TAIL) || !is_empty || page == 0 {
        return Ok(None);
    }
    operation.segment.check_range(page, block::LARGE + WORD)?;
    Ok((operation.read(page + block::LARGE) == page).then_some(page))
}
