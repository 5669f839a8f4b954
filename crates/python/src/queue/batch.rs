//! Many items at once: those that are value words go together.

use super::Queue;
use super::tail::put_one;
use crate::codec::{self, Encoded, Links};
use crate::waiter::Deadline;
use courtyard_core::queue::{self, Order};
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

/// Takes more items if they are words and nothing stands in the way; false: `get` is due.
///
/// # Errors
/// What decoding raises.
pub fn get(slf: &Bound<'_, Queue>, items: &Bound<'_, PyList>, max: usize) -> PyResult<bool> {
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
    for &word in &words[..got] {
        items.append(codec::decode_word(py, word)?)?;
    }
    Ok(got > 0)
}
