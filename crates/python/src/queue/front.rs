//! Taking items.

use super::item::{decode_block, decode_bytes};
use super::{Queue, Sorted, empty, shut_down};
use crate::codec::{self, pickle};
use crate::deadline::Limit;
use crate::primitive::Primitive;
use crate::waiter::{self, Deadline};
use courtyard_core::lock::PROBE;
use courtyard_core::queue::{self, Got, INLINE, ITEMS, Order, Seen};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::Cell;

thread_local! {
    /// Room to copy an item into; who decodes with it in hand leaves none to who comes meanwhile.
    static BUFFER: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer to `work`.
#[inline]
pub fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let room = || vec![0; INLINE as usize].into_boxed_slice();
    let mut buffer = BUFFER.take().unwrap_or_else(room);
    let result = work(&mut buffer);
    BUFFER.set(Some(buffer));
    result
}

impl Queue {
    /// Takes a small item if nothing stands in the way; `Some(None)` if there is none.
    #[inline(always)]
    pub fn quick_get(
        &self,
        py: Python<'_>,
        base: &Primitive,
    ) -> Option<Option<PyResult<Py<PyAny>>>> {
        if self.order != Order::Fifo {
            return None;
        }
        let participant = base.handle.held()?;
        let row = self.enrolment.known(participant)?;
        let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
        if queue::starts_with_word(segment, cell) {
            // Without what an item of bytes needs: a number costs a tenth less.
            let mut word = [0];
            // SAFETY: the GIL is held from before this call until after it.
            if unsafe { queue::get_words(segment, participant, cell, row, &mut word) } == 1 {
                return Some(Some(codec::decode_word(py, word[0]).map(Bound::unbind)));
            }
        }
        with_buffer(|buffer| {
            // SAFETY: the GIL is held from before this call until after it.
            let got = unsafe { queue::get_alone(segment, participant, cell, row, buffer) }?;
            Some(got.map(|got| match got {
                Got::Word(word) => Ok(codec::decode_word(py, word)?.unbind()),
                Got::Bytes(kind, length) => decode_bytes(py, kind, &buffer[..length]),
                Got::Block(_) => Err(PyRuntimeError::new_err("a block where none can be")),
            }))
        })
    }
}

/// Tells `wait_for` of an item taken or done with: it sleeps where items are told of.
pub fn tell(base: &Primitive) {
    let (segment, event) = (&base.handle.space.segment, base.handle.cell + ITEMS);
    if courtyard_core::wait::observe(segment, event) & courtyard_core::wait::SLEEPER != 0 {
        courtyard_core::wait::notify(segment, event);
    }
}

/// Takes the first item; `wait` says until when to wait for one.
///
/// # Errors
/// `queue.Empty`, `ShutDown`, what decoding raises.
pub fn get(slf: &Bound<'_, Queue>, wait: Option<Deadline>) -> PyResult<Py<PyAny>> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let _open = base.handle.open(py)?;
    let (space, queue) = (base.handle.space, Queue::queue(base));
    let limit = Limit::of(wait);
    let segment = &space.segment;
    let got = waiter::attempt(
        py,
        &base.handle,
        base.handle.cell + ITEMS,
        wait,
        PROBE,
        || {
            let was_closing = queue::is_closing(segment, queue.cell);
            if let Some(Some(item)) = this.quick_get(py, base) {
                return Ok(Some(item?));
            }
            // Asked each time: signal handlers run while we wait, and may fork.
            let open = base.handle.open(py)?;
            let participant = open.participant;
            let Some(row) = this.row(py, base, &open, limit)? else {
                return Ok(None);
            };
            let Some(sorted) = Sorted::take(slf, limit)? else {
                return Ok(None);
            };
            let sift = sorted.as_ref().map(|sorted| sorted.least(py));
            let sift = sift.transpose()?.flatten();
            let got = with_buffer(|buffer| {
                let got = base.handle.waiting_until(py, limit, |patience| {
                    queue::get(
                        space,
                        participant,
                        patience,
                        queue,
                        row,
                        sift.as_ref(),
                        buffer,
                    )
                })?;
                drop(sorted); // decoding may run any code
                match got.flatten() {
                    None => Ok(None),
                    Some(Got::Word(word)) => Ok(Some(codec::decode_word(py, word)?.unbind())),
                    Some(Got::Bytes(kind, length)) => {
                        decode_bytes(py, kind, &buffer[..length]).map(Some)
                    }
                    Some(Got::Block(block)) => {
                        decode_block(py, space, participant, block).map(Some)
                    }
                }
            })?;
            if got.is_none() && was_closing {
                return Err(shut_down(py));
            }
            Ok(got)
        },
    )?;
    tell(base);
    got.ok_or_else(|| empty(py))
}

/// The first items, at most so many, decoded without taking them; nothing is unpickled.
///
/// # Errors
/// What decoding raises.
pub fn peek<'py>(slf: &Bound<'py, Queue>, most: usize) -> PyResult<Bound<'py, PyList>> {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    let open = handle.open(py)?;
    let seen = handle.waiting(py, |patience| {
        queue::peek(handle.space, &open, patience, handle.cell, most)
    })?;
    let decode = |item: Seen| match item {
        Seen::Word(word) => Ok(codec::decode_word(py, word)?.unbind()),
        Seen::Bytes(kind, bytes) => decode_bytes(py, kind, &bytes),
        Seen::Long(length) => Ok(pickle::opaque(py, length as usize)?.unbind()),
    };
    pickle::looking(|| {
        let items: PyResult<Vec<_>> = seen.into_iter().map(decode).collect();
        PyList::new(py, items?)
    })
}
