//! Items that were taken and go back, first in line: what cannot be loaded stays where it was.
//!
//! An item goes back by its block. Nothing that may fail is begun while an item is in hand that has none.

use super::item::Held;
use super::state::Queue;
use crate::codec::{self, Encoded, Links};
use crate::deadline::Limit;
use crate::error::{quietly, uninterruptible_until};
use crate::object::{Object, Use};
use courtyard_core::holding::Row;
use courtyard_core::participant::Participant;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue::{self, NewItem, VALUE_WORD};
use courtyard_core::space::Caller;
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::Arc;

/// A block for an item that came without one and is plain: encoding it gives what it was. None: there is
/// no room, or a lock is held for long. No signal handler runs.
pub fn secure(
    base: &Object,
    participant: &'static Participant,
    item: &Bound<'_, PyAny>,
) -> Option<Arc<Held>> {
    let made = |kind, parts: &[&[u8]]| secure_bytes(item.py(), base, participant, kind, parts);
    match codec::encode(item, Links::Keep).ok()? {
        Encoded::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]),
        Encoded::Block(block) if block.links.is_empty() => {
            let held = block.with_parts(|parts, _| Ok(made(block.kind, parts)));
            held.unwrap_or_default()
        }
        Encoded::Block(_) => None,
    }
}

/// As `secure`, of an item's bytes.
pub fn secure_bytes(
    py: Python<'_>,
    base: &Object,
    participant: &'static Participant,
    kind: u8,
    parts: &[&[u8]],
) -> Option<Arc<Held>> {
    let space = base.handle.space;
    let block = quietly(py, |wait| {
        queue::prepare(Caller::new(space, participant, wait), kind, parts)
    });
    match block? {
        NewItem::Block(block) => Some(Held::new(space, participant, block)),
        _ => None,
    }
}

/// Until when one waits for a lock. Once one was told to stop, the next is not begun at leisure.
fn limit(raised: &Option<PyErr>) -> Limit {
    match raised {
        None => Limit::NEVER,
        Some(_) => Limit::soon(),
    }
}

/// Gives items back that were taken in this order, first in line, whatever signal handlers raise
/// meanwhile; returns what is to be raised: why they go back, or what a handler raised.
pub fn put_back(
    slf: &Bound<'_, Queue>,
    open: &Use<'_>,
    row: Row,
    blocks: Vec<Arc<Held>>,
    why: PyErr,
) -> PyErr {
    let participant = open.participant;
    if !std::ptr::eq(open.handle.space.registered(), participant) {
        // A child forked meanwhile: what was taken is its parent's.
        blocks.into_iter().for_each(std::mem::forget);
        return why;
    }
    let mut raised = None;
    for held in blocks.into_iter().rev() {
        give_back(slf, participant, row, held, &mut raised);
    }
    raised.unwrap_or(why)
}

fn give_back(
    slf: &Bound<'_, Queue>,
    participant: &'static Participant,
    row: Row,
    held: Arc<Held>,
    raised: &mut Option<PyErr>,
) {
    let base = slf.as_super().get();
    let (space, queue) = (base.handle.space, Queue::queue(base));
    let block = match Held::reclaim(held) {
        Ok(block) => block,
        // Views of it are in use, as by the exception: a copy goes back, or it does when they are gone.
        Err(held) => match copy_of(slf, participant, &held, raised) {
            Some(block) => Some(block),
            None => return Held::give_back_later(&held, slf, row),
        },
    };
    let Some(block) = block else {
        return;
    };
    let block = Cell::new(Some(block));
    let put = base.handle.uninterruptible(
        slf.py(),
        limit(raised),
        |wait| {
            let item = block.take().expect("it is put back once");
            let put = queue::put_back(Caller::new(space, participant, wait), queue, row, &item);
            if put.is_err() {
                block.set(Some(item));
            }
            put
        },
        || {
            if let Some(item) = block.take() {
                queue::put_back_later(space, participant, queue, row, item);
            }
        },
    );
    if let Err(error) = put {
        raised.get_or_insert(error);
    }
}

/// Another block with the same item; None: there is no room.
fn copy_of(
    slf: &Bound<'_, Queue>,
    participant: &'static Participant,
    held: &Held,
    raised: &mut Option<PyErr>,
) -> Option<PendingBlock<'static>> {
    let (kind, bytes) = held.bytes(slf.py()).ok()?;
    let space = slf.as_super().get().handle.space;
    // In no order: nobody sees the block yet.
    let (block, told) = uninterruptible_until(slf.py(), limit(raised), |wait| {
        queue::prepare(Caller::new(space, participant, wait), kind, &[&bytes])
    });
    if let Err(error) = told {
        raised.get_or_insert(error);
    }
    match block.ok()? {
        NewItem::Block(block) => Some(block),
        _ => None,
    }
}
