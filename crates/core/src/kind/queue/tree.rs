//! The items of a priority queue: a binary heap of words, the least first.
//!
//! A word is a value word of the codec's, or the block that holds the item. Which item is less,
//! only Python can say. So whoever changes the tree holds the *turn*, a lock that users wait for
//! as for any other, works out with nothing internal held which words move, and has one record
//! move them. Nobody but the turn's holder changes the tree; when it dies, nothing or all moved.

use super::bytes::{self, Count};
use super::item::{NewItem, Put};
use super::state::{FILLED, GET_LOCK, ITEMS, Queue, SEQUENCE, TREE, TREE_ROOM, TURN, read};
use super::tail::{count_put, room_for};
use crate::change::lock::{self, Tried};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::heap;
use crate::memory::layout::{WORD, block};
use crate::memory::segment::Segment;
use crate::object::rows::KIND as TABLE_KIND;
use crate::object::{BLOCK_TAG, TAG_MASK};
use crate::offset::{LockWord, Object};
use crate::process::participant::Participant;
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

const FIRST_ROOM: u64 = 64;

/// Which words move: `(to, from)` in turn, then where the last one, or a new one, goes.
pub struct Sift {
    pub moves: Vec<(u64, u64)>,
    pub place: u64,
}

/// Takes the turn if it is free, or was a dead one's.
///
/// # Errors
/// `Corrupt`.
pub fn try_turn(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    flags: u64,
) -> Result<bool> {
    let flags = lock::cpu_flags() | flags;
    let tried = lock::try_acquire(segment, turn(object), participant.me, flags)?;
    Ok(!matches!(tried, Tried::Held(_)))
}

/// The lock word of the turn, to wait for.
pub fn turn(object: Object) -> LockWord {
    object + TURN
}

pub fn end_turn(segment: &Segment, object: Object) {
    lock::release(segment, object + TURN);
}

/// How many items are in the tree.
pub fn filled(segment: &Segment, object: Object) -> u64 {
    read(segment, object + FILLED)
}

fn place(segment: &Segment, object: Object, index: u64) -> Result<u64> {
    let tree = read(segment, object + TREE);
    let room = read(segment, object + TREE_ROOM);
    if index >= room {
        return Err(corrupt(format!(
            "a tree of {room} words has none at {index}"
        )));
    }
    segment.check_range(tree, block::LARGE)?;
    let at = heap::payload(segment, tree).wrapping_add(index.wrapping_mul(WORD));
    segment.check_range(at, WORD)?;
    Ok(at)
}

/// The word at an index, by the turn's holder.
///
/// # Errors
/// `Corrupt`.
pub fn word(segment: &Segment, object: Object, index: u64) -> Result<u64> {
    Ok(segment
        .word(place(segment, object, index)?)
        .load(Ordering::Relaxed))
}

/// The block that a word of the tree names, if it does.
///
/// # Errors
/// `Corrupt`.
pub fn block_of(segment: &Segment, word: u64) -> Result<Option<u64>> {
    if word & TAG_MASK != BLOCK_TAG {
        return Ok(None);
    }
    super::state::payload_of(segment, word)?;
    Ok(Some(word))
}

/// Writes the entries that move words.
fn shift(operation: &mut Operation, object: Object, sift: &Sift) -> Result<()> {
    for &(to, from) in &sift.moves {
        let word = operation.read(place(operation.segment, object, from)?);
        let to = place(operation.segment, object, to)?;
        operation.write(to, word);
    }
    Ok(())
}

/// Puts an item where `sift` says. The turn is ours.
///
/// # Errors
/// `Full` when the tree cannot grow; `Interrupted` as the wait policy says; `Corrupt`.
///
/// # Crash
/// One record moves all words and ends our ownership of the item's block.
pub fn insert(caller: Caller, queue: Queue, item: &NewItem, sift: &Sift) -> Result<Put> {
    let (segment, object) = (&caller.space.segment, queue.object);
    make_room(caller, queue)?;
    let bytes = bytes::of_new(segment, object, item)?;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        if let Some(put) = room_for(segment, object, bytes)? {
            return Ok(put);
        }
        operation.lock(object + GET_LOCK)?;
        let word = match item {
            NewItem::Word(word) => *word,
            NewItem::Block(block) => {
                block.transfer(operation, 0);
                block.block()
            }
            NewItem::Bytes(..) => {
                return Err(corrupt("an item that must be in a block is not").into());
            }
        };
        enter(operation, object, word, sift)?;
        count_put(operation, object)?;
        bytes::count(operation, object, Count::Put, bytes);
        operation.sequence(object + SEQUENCE);
        operation.queue_wake(object + ITEMS);
        operation.commit();
        Ok(Put::Done)
    })
}

/// Writes the entries that put a word where `sift` says; the get lock is held.
pub(super) fn enter(
    operation: &mut Operation,
    object: Object,
    word: u64,
    sift: &Sift,
) -> Result<()> {
    shift(operation, object, sift)?;
    operation.write(place(operation.segment, object, sift.place)?, word);
    let filled = operation.read(object + FILLED);
    operation.write(object + FILLED, filled.wrapping_add(1));
    Ok(())
}

/// Makes sure that the tree has room for one more word. The turn is ours.
pub(super) fn make_room(caller: Caller, queue: Queue) -> Result<()> {
    let (segment, object) = (&caller.space.segment, queue.object);
    match filled(segment, object) >= read(segment, object + TREE_ROOM) {
        true => grow(caller, queue),
        false => Ok(()),
    }
}

/// Gives the tree room for twice as many words.
///
/// # Crash
/// One record exchanges the old words for the new, in our hands until it goes back.
fn grow(caller: Caller, queue: Queue) -> Result<()> {
    let (segment, object) = (&caller.space.segment, queue.object);
    let had = read(segment, object + TREE_ROOM);
    if had != 0 {
        // A number that was scribbled on must not make the tree larger than the file.
        let tree = read(segment, object + TREE);
        segment.check_range(tree, block::LARGE)?;
        segment.check_range(heap::payload(segment, tree), had.saturating_mul(WORD))?;
    }
    let room = (had * 2).max(FIRST_ROOM);
    let bytes = room * WORD;
    let new = PendingBlock::allocate(caller, bytes, TABLE_KIND)?;
    segment.zero(new.payload(), bytes);
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        let old = operation.read(object + TREE);
        if old != 0 {
            let filled = operation.read(object + FILLED);
            if filled > room {
                return Err(corrupt(format!("a tree of {had} words holds {filled}")).into());
            }
            let bytes = filled * WORD;
            segment.check_range(old, block::LARGE)?;
            let from = heap::payload(segment, old);
            segment.check_range(from, bytes)?;
            segment.copy_within(from, new.payload(), bytes);
        }
        operation.write(object + TREE, new.block());
        operation.write(object + TREE_ROOM, room);
        new.transfer(operation, old);
        operation.commit();
        Ok(())
    })
}

/// Writes the entries that take the least word out; the get lock is held, and the turn is ours.
pub(super) fn remove(operation: &mut Operation, object: Object, sift: &Sift) -> Attempt<u64> {
    let segment = operation.segment;
    let Some(last) = operation.read(object + FILLED).checked_sub(1) else {
        return Err(corrupt("a tree lost its items under its turn").into());
    };
    let least = operation.read(place(segment, object, 0)?);
    let word = operation.read(place(segment, object, last)?);
    shift(operation, object, sift)?;
    operation.write(place(segment, object, sift.place)?, word);
    operation.write(object + FILLED, last);
    operation.sequence(object + SEQUENCE);
    Ok(least)
}
