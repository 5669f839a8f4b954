//! Taking all items out at once.

use super::front::with_buffer;
use super::order::Sorted;
use super::state::Queue;
use crate::deadline::Limit;
use crate::ending;
use crate::error::raise;
use crate::object::waiter::look_if_due;
use courtyard_core::error::Error;
use courtyard_core::queue;
use pyo3::prelude::*;

/// Takes all items out, and counts them as done; how many there were.
///
/// # Errors
/// What a signal handler raises: then none is taken, or in a full space some are.
pub fn clear(slf: &Bound<'_, Queue>) -> PyResult<u64> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    let open = base.handle.open(py)?;
    let (space, participant) = (base.handle.space, open.participant);
    let queue = Queue::queue(base);
    look_if_due(py, space)?; // what a dead process had on a lease goes, too
    let row = this.known_row(py, base, &open)?;
    let sorted = Sorted::take(slf, Limit::NEVER)?.ok_or_else(|| raise(py, Error::TimedOut))?;
    let mut gone = 0;
    loop {
        let cleared = open.waiting(py, |caller| match queue::clear(caller, queue) {
            Err(full @ Error::Full(_)) => Ok(Err(full)),
            cleared => cleared.map(Ok),
        })?;
        let full = match cleared {
            Ok(items) => {
                gone += items;
                break;
            }
            Err(full) => full,
        };
        // One by one, until what is freed is enough.
        let sift = sorted.as_ref().and_then(Sorted::last);
        let sift = sift.as_ref();
        let taken = with_buffer(|buffer| {
            open.waiting(py, |caller| {
                let got = queue::get(caller, queue, row, sift, buffer)?;
                if got.is_some() {
                    queue::task_done(caller, queue, row)?;
                }
                Ok(got.is_some() || queue::drop_requeued(caller, queue)?)
            })
        })?;
        if !taken {
            return Err(raise(py, full));
        }
        gone += 1;
    }
    drop(sorted);
    ending::waiting(py, || queue::free_cleared(space, participant));
    Ok(gone)
}
