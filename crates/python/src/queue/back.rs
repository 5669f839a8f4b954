//! Items that were taken and go back, first in line: what cannot be loaded stays where it was.

use super::Queue;
use super::item::{Held, KIND_LINKED, with_links};
use crate::codec::{self, Encoded, Links};
use crate::handle::Use;
use courtyard_core::error::Result;
use courtyard_core::holding::Row;
use courtyard_core::queue::{self, Fresh, Place, VALUE_WORD};
use courtyard_core::space::Patience;
use courtyard_core::unfinished::Unfinished;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::sync::Arc;

/// What makes an item that was taken an item again.
pub enum Receipt {
    /// The item itself: it is plain, and encoding it gives what it was.
    Item(Py<PyAny>),
    Word(u64),
    /// Where they lay, if there was no room for a block.
    Bytes(u8, Vec<u8>, Option<Place>),
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
        raised: &mut Option<PyErr>,
    ) -> PyResult<Option<Unfinished<'static>>> {
        let (py, space, participant) = (slf.py(), open.handle.space, open.participant);
        let mut made = |kind, parts: &[&[u8]]| {
            let block = surely(slf, raised, |patience| {
                queue::prepare(space, participant, patience, kind, parts)
            });
            match block {
                Some(Fresh::Block(block)) => Ok(Some(block)),
                _ => Err(PyMemoryError::new_err("no room for an item")),
            }
        };
        match self {
            Receipt::Plain => Ok(None),
            Receipt::Held(held) => match Held::reclaim(held) {
                Ok(block) => Ok(block),
                Err(held) => {
                    let (kind, bytes) = held.bytes(py)?; // views of it are in use
                    made(kind, &[&bytes])
                }
            },
            Receipt::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]),
            Receipt::Bytes(kind, bytes, _) => made(kind, &[&bytes]),
            Receipt::Item(item) => match codec::encode(item.bind(py), Links::Keep)? {
                Encoded::Word(word) => made(VALUE_WORD, &[&word.to_ne_bytes()]),
                Encoded::Block(block) => block.with_parts(|parts, _| {
                    if block.links.is_empty() {
                        return made(block.kind, parts);
                    }
                    let bytes = with_links(py, block.kind, &block.links, parts)?;
                    made(KIND_LINKED, &[&bytes])
                }),
            },
        }
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
    let queue = Queue::queue(base);
    let (mut raised, mut lost) = (None, 0);
    for receipt in receipts.into_iter().rev() {
        let mut is_back = false;
        if let Receipt::Bytes(.., Some(place)) = receipt {
            let untaken = surely(slf, &mut raised, |patience| {
                queue::untake(space, participant, patience, queue, row, place)
            });
            is_back = untaken == Some(true);
        }
        if !is_back {
            is_back = match receipt.block(slf, open, &mut raised) {
                Ok(None) => true,
                Ok(Some(block)) => {
                    let put = surely(slf, &mut raised, |patience| {
                        queue::put_back(space, participant, patience, queue, row, &block)
                    });
                    put.is_some()
                }
                Err(_) => false,
            };
        }
        lost += u32::from(!is_back);
    }
    if lost > 0 {
        let note = format!("{lost} item(s) taken before could not be given back: no room for them");
        let _ = why.value(py).call_method1("add_note", (note,));
    }
    raised.unwrap_or(why)
}
