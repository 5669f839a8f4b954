//! Items that were taken and go back, first in line: what cannot be loaded stays where it was.
//!
//! An item goes back by its block. Nothing that may fail is begun while an item is in hand that has none.

use super::Queue;
use super::item::Held;
use crate::codec::{self, Encoded, Links};
use crate::error::quietly;
use crate::handle::Use;
use crate::primitive::Primitive;
use courtyard_core::error::Result;
use courtyard_core::holding::Row;
use courtyard_core::participant::Participant;
use courtyard_core::queue::{self, Fresh, VALUE_WORD};
use courtyard_core::space::Patience;
use courtyard_core::unfinished::Unfinished;
use pyo3::prelude::*;
use std::sync::Arc;

/// A block for an item that came without one and is plain: encoding it gives what it was. None: there is
/// no room, or a lock is held for long. No signal handler runs.
pub fn secure(
    base: &Primitive,
    participant: &'static Participant,
    item: &Bound<'_, PyAny>,
) -> Option<Arc<Held>> {
    let made = |kind, parts: &[&[u8]]| secure_bytes(item.py(), base, participant, kind, parts);
    match codec::encode(item, Links::Keep).ok()? {
        Encoded::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]),
        Encoded::Block(block) if block.links.is_empty() => {
            block.with_parts(|parts, _| made(block.kind, parts))
        }
        Encoded::Block(_) => None,
    }
}

/// As `secure`, of an item's bytes.
pub fn secure_bytes(
    py: Python<'_>,
    base: &Primitive,
    participant: &'static Participant,
    kind: u8,
    parts: &[&[u8]],
) -> Option<Arc<Held>> {
    let space = base.handle.space;
    let block = quietly(py, |patience| {
        queue::prepare(space, participant, patience, kind, parts)
    });
    match block? {
        Fresh::Block(block) => Some(Held::new(space, participant, block)),
        _ => None,
    }
}

/// Does what gives something back, whatever signal handlers raise meanwhile: the first of that is kept in
/// `raised`. None: it failed.
fn surely<T>(
    slf: &Bound<'_, Queue>,
    raised: &mut Option<PyErr>,
    work: impl FnOnce(Patience) -> Result<T>,
) -> Option<T> {
    let mut done = None;
    let result = slf.as_super().get().handle.surely(slf.py(), |patience| {
        done = Some(work(patience)?);
        Ok(())
    });
    if let (Err(error), true) = (result, done.is_some()) {
        raised.get_or_insert(error);
    }
    done
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
    let put = surely(slf, raised, |patience| {
        queue::put_back(space, participant, patience, queue, row, &block)
    });
    if put.is_none() {
        queue::put_back_later(space, participant, queue, row, block);
    }
}

/// Another block with the same item; None: there is no room.
fn copy_of(
    slf: &Bound<'_, Queue>,
    participant: &'static Participant,
    held: &Held,
    raised: &mut Option<PyErr>,
) -> Option<Unfinished<'static>> {
    let (kind, bytes) = held.bytes(slf.py()).ok()?;
    let space = slf.as_super().get().handle.space;
    let block = surely(slf, raised, |patience| {
        queue::prepare(space, participant, patience, kind, &[&bytes])
    });
    match block? {
        Fresh::Block(block) => Some(block),
        _ => None,
    }
}
