//! Items that were taken and go back, first in line: what cannot be loaded stays where it was.

use super::Queue;
use super::item::{Held, block_of, with_links};
use crate::codec::{self, Encoded, Links};
use crate::handle::Use;
use courtyard_core::holding::Row;
use courtyard_core::queue::{self, VALUE_WORD};
use courtyard_core::unfinished::Unfinished;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::sync::Arc;

/// What makes an item that was taken an item again.
pub enum Receipt {
    /// The item itself: it is plain, and encoding it gives what it was.
    Item(Py<PyAny>),
    Word(u64),
    Bytes(u8, Vec<u8>),
    Held(Arc<Held>),
    /// Nobody keeps it: it was loaded, and is its caller's.
    Plain,
}

impl Receipt {
    /// The item in a block of ours; None: there is nothing to give back.
    fn block(
        self,
        slf: &Bound<'_, Queue>,
        open: &Use<'_>,
    ) -> PyResult<Option<Unfinished<'static>>> {
        let (py, space, participant) = (slf.py(), open.handle.space, open.participant);
        let made = |kind, parts: &[&[u8]]| block_of(py, space, participant, kind, parts);
        match self {
            Receipt::Plain => Ok(None),
            Receipt::Held(held) => Held::reclaim(held, py, participant),
            Receipt::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]).map(Some),
            Receipt::Bytes(kind, bytes) => made(kind, &[&bytes]).map(Some),
            Receipt::Item(item) => match codec::encode(item.bind(py), Links::Keep)? {
                Encoded::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]).map(Some),
                Encoded::Block(block) => block.with_parts(|parts, _| {
                    if block.links.is_empty() {
                        return made(block.kind, parts).map(Some);
                    }
                    let bytes = with_links(py, block.kind, &block.links, parts)?;
                    made(super::item::KIND_LINKED, &[&bytes]).map(Some)
                }),
            },
        }
    }
}

/// Gives items back that were taken in this order, first in line, whatever signal handlers raise
/// meanwhile; returns what is to be raised: why they go back, or what a handler raised. Where a full
/// space has no room for them they are lost, and that says so.
pub fn put_back(
    slf: &Bound<'_, Queue>,
    open: &Use<'_>,
    row: Row,
    receipts: Vec<Receipt>,
    why: PyErr,
) -> PyErr {
    let (py, base) = (slf.py(), slf.as_super().get());
    let (space, participant) = (base.handle.space, open.participant);
    if !std::ptr::eq(space.registered(), participant) {
        // A child forked meanwhile: what was taken is its parent's.
        receipts.into_iter().for_each(std::mem::forget);
        return why;
    }
    let (mut raised, mut lost) = (None, 0);
    for receipt in receipts.into_iter().rev() {
        let done = receipt.block(slf, open).and_then(|block| match block {
            None => Ok(()),
            Some(block) => base.handle.surely(py, |patience| {
                let queue = Queue::queue(base);
                queue::put_back(space, participant, patience, queue, row, &block)
            }),
        });
        match done {
            Ok(()) => {}
            Err(error) if error.is_instance_of::<PyException>(py) => lost += 1,
            Err(error) => drop(raised.get_or_insert(error)),
        }
    }
    if lost > 0 {
        let note = format!("{lost} item(s) taken before could not be given back: no room for them");
        let _ = why.value(py).call_method1("add_note", (note,));
    }
    raised.unwrap_or(why)
}
