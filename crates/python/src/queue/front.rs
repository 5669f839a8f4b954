//! Taking items.

use super::back::{Receipt, put_back};
use super::item::{Held, decode_block, decode_bytes, may_fail};
use super::{Queue, Sorted, empty, shut_down};
use crate::codec::{self, Buffers, pickle};
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
    /// Whether the oldest item seems to be one whose loading may fail.
    pub fn starts_uncertain(&self, base: &Primitive) -> bool {
        let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
        base.handle.held().is_some()
            && queue::look(segment, cell).is_some_and(|(kind, _)| may_fail(kind))
    }

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
        let keep = |kind, _| may_fail(kind);
        with_buffer(|buffer| {
            // SAFETY: the GIL is held from before this call until after it.
            let got =
                unsafe { queue::get_alone_but(segment, participant, cell, row, keep, buffer) }?;
            Some(got.map(|got| match got {
                Got::Word(word) => Ok(codec::decode_word(py, word)?.unbind()),
                Got::Bytes(kind, length) => decode_bytes(py, kind, &buffer[..length], Buffers::Own),
                Got::Block(_) => Err(PyRuntimeError::new_err("a block where none can be")),
            }))
        })
    }
}

/// Takes a small item whose loading may fail, if nothing stands in the way, and loads it: with a block
/// at hand by which it can go back. Its buffers are `whose`; with `kept` the receipt is that block.
pub fn quick_get_kept(
    slf: &Bound<'_, Queue>,
    limit: Limit,
    whose: Buffers,
    kept: bool,
) -> Option<PyResult<(Py<PyAny>, Receipt)>> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    if this.order != Order::Fifo {
        return None;
    }
    let (_, room) = queue::look(segment, cell).filter(|(kind, _)| may_fail(*kind))?;
    let row = this.enrolment.known(base.handle.held()?)?;
    let open = base.handle.open(py).ok()?;
    let (space, participant) = (base.handle.space, open.participant);
    // What that raises, the general way raises again.
    let spare = base.handle.waiting_until(py, limit, |patience| {
        queue::reserve(space, participant, patience, room)
    });
    let spare = spare.ok()??;
    let keep = |kind, length| may_fail(kind) && length > room;
    with_buffer(|buffer| {
        // SAFETY: the GIL is held from before this call until after it.
        let got = unsafe { queue::get_alone_but(segment, participant, cell, row, keep, buffer) }??;
        let (kind, bytes) = match got {
            Got::Bytes(kind, length) => (kind, &buffer[..length]),
            Got::Word(word) => {
                let item = codec::decode_word(py, word).map(Bound::unbind);
                return Some(item.map(|item| (item, Receipt::Plain)));
            }
            Got::Block(_) => return None,
        };
        let spare = Held::new(space, participant, spare); // which knows of forks
        let item = decode_bytes(py, kind, bytes, whose);
        if item.is_ok() && !(kept && may_fail(kind)) {
            return Some(item.map(|item| (item, Receipt::Plain)));
        }
        let receipt = Receipt::Held(spare.filled(kind, bytes));
        Some(match item {
            Ok(item) => Ok((item, receipt)),
            Err(error) => Err(put_back(slf, &open, row, vec![receipt], error)),
        })
    })
}

/// Tells `wait_for` of an item taken or done with: it sleeps where items are told of.
pub fn tell(base: &Primitive) {
    let (segment, event) = (&base.handle.space.segment, base.handle.cell + ITEMS);
    if courtyard_core::wait::observe(segment, event) & courtyard_core::wait::SLEEPER != 0 {
        courtyard_core::wait::notify(segment, event);
    }
}

/// Takes the first item; `wait` says until when to wait for one, and its buffers are `whose`.
///
/// # Errors
/// `queue.Empty`, `ShutDown`; what decoding raises, and then the item is where it was.
pub fn get(slf: &Bound<'_, Queue>, wait: Option<Deadline>, whose: Buffers) -> PyResult<Py<PyAny>> {
    get_with_receipt(slf, wait, whose).map(|(item, _)| item)
}

/// As `get`, with what it takes to give the item back.
///
/// # Errors
/// As `get`.
pub fn get_with_receipt(
    slf: &Bound<'_, Queue>,
    wait: Option<Deadline>,
    whose: Buffers,
) -> PyResult<(Py<PyAny>, Receipt)> {
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
                return Ok(Some((item?, Receipt::Plain)));
            }
            if let Some(got) = quick_get_kept(slf, limit, whose, true) {
                return got.map(Some);
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
            let mut place = None;
            let got = with_buffer(|buffer| {
                let got = base.handle.waiting_until(py, limit, |patience| {
                    queue::get_but(
                        space,
                        participant,
                        patience,
                        queue,
                        row,
                        sift.as_ref(),
                        may_fail,
                        (buffer, &mut place),
                    )
                })?;
                drop(sorted); // decoding may run any code
                let (item, receipt) = match got.flatten() {
                    None => return Ok(None),
                    Some(Got::Word(word)) => {
                        let item = codec::decode_word(py, word).map(Bound::unbind);
                        (item, Receipt::Word(word))
                    }
                    Some(Got::Bytes(kind, length)) => {
                        let bytes = &buffer[..length];
                        let item = decode_bytes(py, kind, bytes, whose);
                        let is_plain = item.is_ok() && !may_fail(kind);
                        let receipt = match is_plain {
                            true => Receipt::Plain,
                            false => Receipt::Bytes(kind, bytes.to_vec(), place),
                        };
                        (item, receipt)
                    }
                    Some(Got::Block(block)) => {
                        let held = Held::new(space, participant, block);
                        (decode_block(py, held.clone(), whose), Receipt::Held(held))
                    }
                };
                match item {
                    Ok(item) => Ok(Some((item, receipt))),
                    Err(error) => Err(put_back(slf, &open, row, vec![receipt], error)),
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
        Seen::Bytes(kind, bytes) => decode_bytes(py, kind, &bytes, Buffers::Own),
        Seen::Long(length) => Ok(pickle::opaque(py, length as usize)?.unbind()),
    };
    pickle::looking(|| {
        let items: PyResult<Vec<_>> = seen.into_iter().map(decode).collect();
        PyList::new(py, items?)
    })
}
