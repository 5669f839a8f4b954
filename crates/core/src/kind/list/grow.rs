//! Rings that are built aside: with room for more, or smaller.

use super::state::{
    BLOCK, CAPACITY, HEAD, List, Ring, START, is_too_large, lock, root, sequence, words_of,
};
use crate::change::operation::{Operation, Purpose, class_for};
use crate::error::Result;
use crate::memory::layout::{CLASSES, UNIT, WORD, align_up, block, kind};
use crate::offset::Object;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, Space};
use crate::sync::Ordering;

/// A ring in our hands: no list's yet.
pub(super) struct Aside<'a> {
    pub own: PendingBlock<'a>,
    pub words: u64,
    pub capacity: u64,
}

impl<'a> Aside<'a> {
    /// Room for so many, and for what else its block holds.
    ///
    /// # Errors
    /// `Full`.
    pub fn new(purpose: Purpose, caller: Caller<'a, '_>, count: u64) -> Result<Aside<'a>> {
        let wish = count.saturating_mul(WORD).saturating_add(HEAD);
        let length = match class_for(wish) {
            Some(class) => CLASSES[class] - block::SMALL,
            None => align_up(wish.saturating_add(block::LARGE).min(1 << 60), UNIT) - block::LARGE,
        };
        let own = PendingBlock::allocate_for(purpose, caller, length, kind::PLAIN)?;
        let segment = &caller.space.segment;
        segment.zero(own.payload(), HEAD);
        let capacity = (length - HEAD) / WORD;
        let words = words_of(segment, own.block(), capacity)?;
        // From here on it counts as what has contents: none, since nothing is left in it.
        let shape = segment.word(own.block() + block::SHAPE);
        shape.store(length | kind::RING << 56, Ordering::Relaxed);
        Ok(Aside {
            own,
            words,
            capacity,
        })
    }

    /// Writes the entries that make it the list's, but for where it starts. The old one is ours, and,
    /// if its elements are not, a block without contents.
    pub fn link(&self, operation: &mut Operation, object: Object, old: Ring, keeps: bool) {
        if old.block != 0 && keeps {
            let shape = operation.read(old.block + block::SHAPE);
            let plain = shape & ((1 << 56) - 1) | kind::PLAIN << 56;
            operation.write(old.block + block::SHAPE, plain);
        }
        operation.write(root(object) + BLOCK, self.own.block());
        operation.write(root(object) + CAPACITY, self.capacity);
        self.own.transfer(operation, old.block);
    }
}

/// What a list takes memory for that gets so many elements in the place of others: it gives as much back
/// unless they are more.
pub(super) fn purpose(new: u64, old: u64) -> Purpose {
    match new <= old {
        true => Purpose::Release,
        false => Purpose::Store,
    }
}

/// The room that a list gets which needs this much: half as much again.
fn room(count: u64) -> u64 {
    count.saturating_add(count / 2)
}

/// Gives a list room for `more` elements, or takes back what it does not need, unless that is done
/// by now.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// The new ring is pending until one record exchanges it for the old one.
pub(super) fn resize(caller: Caller, list: List, more: u64) -> Result<()> {
    let space = caller.space;
    let (segment, object) = (&space.segment, list.object);
    // A look without the lock; what it finds is looked at again.
    let seen = super::state::count(segment, object).min(segment.size() / WORD);
    let new_value = Aside::new(purpose(more, 0), caller, room(seen.saturating_add(more)))?;
    // Its pages are there before anything is locked.
    segment.zero(new_value.words, new_value.capacity * WORD);
    if seeded(Bug::CopiedBeforeLock) {
        copy(space, list, &new_value)?;
    }
    caller.run(|operation| {
        lock(operation, list)?;
        let ring = Ring::read(segment, object)?;
        let serves = match more {
            0 => !is_too_large(ring.capacity, ring.count) || new_value.capacity >= ring.capacity,
            more => ring.capacity - ring.count >= more,
        };
        if serves || ring.count > new_value.capacity {
            return Ok(()); // another made room, or more is needed by now
        }
        if !seeded(Bug::CopiedBeforeLock) {
            copy(space, list, &new_value)?;
        }
        new_value.link(operation, object, ring, true);
        operation.write(root(object) + START, 0);
        operation.sequence(sequence(object));
        operation.commit();
        crate::memory::crash_point!("list.grown");
        Ok(())
    })
}

fn copy(space: &Space, list: List, new_value: &Aside) -> Result<()> {
    let segment = &space.segment;
    let ring = Ring::read(segment, list.object)?;
    for index in 0..ring.count.min(new_value.capacity) {
        let word = segment.word(ring.word(index)).load(Ordering::Relaxed);
        let at = segment.word(new_value.words + index * WORD);
        at.store(word, Ordering::Relaxed);
    }
    Ok(())
}
