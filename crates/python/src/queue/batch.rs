//! Many items at once: those that are value words go together.

use super::back::{Receipt, put_back};
use super::front::get_with_receipt;
use super::tail::put_one;
use super::{Queue, empty, shut_down};
use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::waiter::Deadline;
use courtyard_core::queue::{self, Order};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// So many items at a time: the lock is held for about a microsecond.
const MOST: usize = 64;

/// Puts the items of a list or a tuple.
///
/// # Errors
/// As `put`.
pub fn put(
    slf: &Bound<'_, Queue>,
    items: &Bound<'_, PyAny>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let (mut words, mut kept) = ([0; MOST], Vec::with_capacity(MOST));
    for item in items.try_iter()? {
        let item = item?;
        // What encoding raises, `put_one` raises again.
        if let Some(word) = word_of(&item).filter(|_| slf.get().order == Order::Fifo) {
            words[kept.len()] = word;
            kept.push(item);
            if kept.len() == MOST {
                flush(slf, &words, &mut kept, wait)?;
            }
        } else {
            flush(slf, &words, &mut kept, wait)?;
            put_one(slf, &item, wait)?;
        }
    }
    flush(slf, &words, &mut kept, wait)
}

fn word_of(item: &Bound<'_, PyAny>) -> Option<u64> {
    match codec::encode(item, Links::Keep) {
        Ok(Encoded::Word(word)) => Some(word),
        _ => None,
    }
}

/// Puts the items that `words` are; what has no room waits for it.
fn flush(
    slf: &Bound<'_, Queue>,
    words: &[u64; MOST],
    kept: &mut Vec<Bound<'_, PyAny>>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let base = slf.as_super().get();
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    let mut done = 0;
    while done < kept.len() {
        if let Some(participant) = base.handle.held() {
            let rest = &words[done..kept.len()];
            // SAFETY: the GIL is held from before this call until after it.
            done += unsafe { queue::put_words(segment, participant, cell, rest) };
        }
        if let Some(item) = kept.get(done) {
            put_one(slf, item, wait)?;
            done += 1;
        }
    }
    kept.clear();
    Ok(())
}

/// How many blocks of items wait for the end of a call; the bytes of more are copied.
const HELD: usize = 16;

/// Takes up to `max` items, at least one; `wait` says until when to wait for the first.
///
/// # Errors
/// As `get`; then all that were taken are back.
pub fn get<'py>(
    slf: &Bound<'py, Queue>,
    max: usize,
    wait: Option<Deadline>,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let (items, mut kept) = (PyList::empty(py), Vec::new());
    let why = match fill(slf, &items, &mut kept, max, wait) {
        Ok(()) => return Ok(items),
        Err(why) if items.is_empty() && kept.is_empty() => return Err(why),
        Err(why) => why,
    };
    let open = slf.as_super().get().handle.open(py)?;
    let Some(row) = slf.get().enrolment.known(open.participant) else {
        return Err(why); // a child forked meanwhile: what was taken is its parent's
    };
    let (mut receipts, mut kept) = (Vec::new(), kept.into_iter().peekable());
    for (index, item) in items.iter().enumerate() {
        receipts.push(match kept.next_if(|(at, _)| *at == index) {
            Some((_, receipt)) => receipt,
            None => Receipt::Item(item.unbind()),
        });
    }
    receipts.extend(kept.map(|(_, receipt)| receipt)); // taken, and not loaded
    Err(put_back(slf, &open, row, receipts, why))
}

/// Takes items, and keeps in `kept`, by their index, what those need that encoding them again might
/// not bring back.
fn fill(
    slf: &Bound<'_, Queue>,
    items: &Bound<'_, PyList>,
    kept: &mut Vec<(usize, Receipt)>,
    max: usize,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let (mut wait, mut held) = (wait, 0);
    while items.len() < max {
        if !items.is_empty() {
            if words(slf, items, kept, max)? {
                continue;
            }
            match this.quick_get(py, base) {
                Some(Some(got)) => {
                    items.append(got?)?;
                    continue;
                }
                Some(None) => break,
                None => wait = None,
            }
        }
        let (item, receipt) = match get_with_receipt(slf, wait, Buffers::Own) {
            Err(error) if !items.is_empty() && is_end(py, &error) => break,
            got => got.map_err(|error| item(slf, error, items.len()))?,
        };
        let receipt = match receipt {
            Receipt::Held(block) if block.is_plain() => Receipt::Plain,
            Receipt::Held(block) if held >= HELD => {
                let (kind, bytes) = block.bytes(py)?;
                Receipt::Bytes(kind, bytes, None)
            }
            Receipt::Held(block) => {
                held += 1;
                Receipt::Held(block)
            }
            Receipt::Word(_) => Receipt::Plain,
            other => other,
        };
        if !matches!(receipt, Receipt::Plain) {
            kept.push((items.len(), receipt));
        }
        items.append(item)?;
    }
    Ok(())
}

/// Adds to a `LoadError` which item could not be loaded.
#[cold]
fn item(slf: &Bound<'_, Queue>, error: PyErr, index: usize) -> PyErr {
    let index = || index.into_bound_py_any(slf.py());
    failure::of(slf, failure::at_key(slf.py(), error, "item", index))
}

/// Whether that says that there is no item more.
fn is_end(py: Python<'_>, error: &PyErr) -> bool {
    let is = |other: PyErr| error.is_instance(py, other.get_type(py).as_any());
    is(empty(py)) || is(shut_down(py))
}

/// Takes more items if they are words and nothing stands in the way; false: `get` is due.
///
/// # Errors
/// What decoding raises; the others are in `kept`.
fn words(
    slf: &Bound<'_, Queue>,
    items: &Bound<'_, PyList>,
    kept: &mut Vec<(usize, Receipt)>,
    max: usize,
) -> PyResult<bool> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    if this.order != Order::Fifo {
        return Ok(false);
    }
    let Some(participant) = base.handle.held() else {
        return Ok(false);
    };
    let Some(row) = this.enrolment.known(participant) else {
        return Ok(false);
    };
    let mut words = [0; MOST];
    let room = (max - items.len()).min(MOST);
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    // SAFETY: the GIL is held from before this call until after it.
    let got = unsafe { queue::get_words(segment, participant, cell, row, &mut words[..room]) };
    for (index, &word) in words[..got].iter().enumerate() {
        let item = codec::decode_word(py, word);
        if let Err(error) = item.and_then(|item| items.append(item)) {
            let left = words[index..got].iter();
            kept.extend(left.map(|&word| (usize::MAX, Receipt::Word(word))));
            return Err(error);
        }
    }
    Ok(got > 0)
}
