//! `Lease`: an item that comes back unless it is done with.

use super::front::tell;
use super::item::decode_leased;
use super::{Queue, Sorted, empty, first_item, shut_down};
use crate::deadline::Limit;
use crate::waiter::{self, Deadline};
use courtyard_core::holding::Row;
use courtyard_core::lock::PROBE;
use courtyard_core::queue::{self, ITEMS};
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// An item that comes back unless it is done with. `Queue.lease()` makes one.
#[pyclass(frozen, weakref, module = "courtyard._native")]
pub struct Lease {
    pub(super) queue: Py<Queue>,
    pub(super) wait: Option<Deadline>,
    pub(super) held: std::sync::Mutex<Option<(queue::Lease, u64)>>,
    pub(super) entered: AtomicBool,
}

#[pymethods]
impl Lease {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.entered.swap(true, Ordering::Relaxed) {
            return Err(PyRuntimeError::new_err("a lease can be entered once only"));
        }
        let slf = self.queue.bind(py);
        let base = slf.as_super().get();
        let open = base.handle.open(py)?;
        let (space, queue) = (base.handle.space, Queue::queue(base));
        let limit = Limit::of(self.wait);
        let row = base
            .handle
            .waiting_until(py, limit, |patience| Row::reserve(space, &open, patience))?;
        let Some(row) = row else {
            return Err(empty(py));
        };
        let leased = waiter::attempt(
            py,
            &base.handle,
            base.handle.cell + ITEMS,
            self.wait,
            PROBE,
            || {
                let was_closing = queue::is_closing(&space.segment, queue.cell);
                let Some(sorted) = Sorted::take(slf, limit)? else {
                    return Ok(None);
                };
                let sift = sorted.as_ref().map(|sorted| sorted.least(py));
                let sift = sift.transpose()?.flatten();
                let leased = base.handle.waiting_until(py, limit, |patience| {
                    queue::lease(space, &open, patience, queue, row, sift.as_ref())
                })?;
                let leased = leased.flatten();
                if leased.is_none() && was_closing {
                    return Err(shut_down(py));
                }
                Ok(leased)
            },
        );
        let lease = match leased {
            Ok(Some(lease)) => lease,
            other => {
                row.give(&open);
                other.map_err(|error| first_item(slf, error))?;
                return Err(empty(py));
            }
        };
        tell(base);
        let item = decode_leased(py, space, lease.block);
        match item {
            Ok(item) => {
                let me = std::ptr::from_ref(open.participant) as u64;
                if let Ok(mut held) = self.held.lock() {
                    *held = Some((lease, me));
                }
                Ok(item)
            }
            Err(error) => {
                base.handle.surely(py, |patience| {
                    queue::give_back(space, &open, patience, queue, lease)?;
                    row.give(&open);
                    Ok(())
                })?;
                Err(first_item(slf, error))
            }
        }
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.end(py, kind.is_none())
    }

    /// Gives the item back at once, first in line, inside the `with` block.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py, false)
    }
}

impl Lease {
    fn end(&self, py: Python<'_>, done: bool) -> PyResult<()> {
        let held = self.held.lock().ok().and_then(|mut held| held.take());
        let Some((lease, holder)) = held else {
            return Ok(());
        };
        let slf = self.queue.bind(py);
        let base = slf.as_super().get();
        let open = base.handle.open(py)?;
        if std::ptr::from_ref(open.participant) as u64 != holder {
            return Ok(()); // a child forked meanwhile: the lease is its parent's
        }
        let (space, queue) = (base.handle.space, Queue::queue(base));
        let ended = base.handle.surely(py, |patience| {
            match done {
                true => queue::finish(space, &open, patience, queue, lease),
                false => queue::give_back(space, &open, patience, queue, lease),
            }?;
            lease.row.give(&open);
            Ok(())
        });
        tell(base);
        ended
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Entered and never exited, as by a generator thrown away: the item goes back.
        // Where there is no GIL to be had the interpreter ends: it goes back with this process.
        Python::try_attach(|py| {
            let _ = self.end(py, false);
        });
    }
}
