//! `Condition`: the native part of `courtyard.Condition`, the line of those who wait.

use crate::deadline::Limit;
use crate::error::{raise, uninterruptible_until};
use crate::object::waiter::{self, Deadline};
use crate::object::{Address, Object, Use};
use courtyard_core::condition::{self, LENGTH, Waiter};
use courtyard_core::error::Error;
use courtyard_core::holding::Row;
use courtyard_core::object::{self, EVENT};
use courtyard_core::space::{Caller, Space};
use courtyard_core::sync::{AtomicBool, Ordering};
use courtyard_core::wait;
use pyo3::prelude::*;

/// Who waits for a notification. `courtyard.Condition` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Condition;

#[pymethods]
impl Condition {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Condition>> {
        let base = Object::make(py, object::CONDITION, LENGTH, address.as_ref(), |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Condition))
    }

    /// Waits for a notification with the lock given up by `release()`, and takes it again by
    /// `restore(what release returned)`, whatever happens.
    #[pyo3(signature = (release, restore, timeout=None))]
    fn _wait(
        slf: &Bound<'_, Self>,
        release: &Bound<'_, PyAny>,
        restore: &Bound<'_, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<bool> {
        let (py, handle) = (slf.py(), &slf.as_super().get().handle);
        let deadline = Deadline::from_timeout(timeout)?;
        let (space, object) = (handle.space, handle.object);
        let limit = Limit::of(Some(deadline));
        let Some(open) = handle.open_until(py, limit)? else {
            return Ok(false);
        };
        // With the lock held: so no notification of others is missed.
        let Some(waiter) = enter(py, slf.as_super().get(), &open, limit)? else {
            return Ok(false);
        };
        let waited = release.call0().and_then(|saved| {
            let event = object + EVENT;
            let look = wait::LOOK_AGAIN;
            let taken = waiter::attempt(py, handle, event, Some(deadline), look, || {
                let taken =
                    open.waiting_until(py, limit, |caller| condition::try_take(caller, waiter))?;
                Ok(taken.filter(|&taken| taken).map(drop))
            });
            restore.call1((saved,))?;
            taken
        });
        // Also after Ctrl-C: a notification that came with it is then lost to this thread alone.
        let (left, raised) = leave(py, space, &open, waiter, limit);
        let taken = waited?.is_some();
        raised?;
        Ok(left?.unwrap_or(taken))
    }

    /// A place in the line of those who wait: with the lock held, so no notification is missed.
    fn _enter(slf: &Bound<'_, Self>) -> PyResult<Place> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let waiter = enter(py, base, &open, Limit::NEVER)?;
        let waiter = waiter.ok_or_else(|| raise(py, Error::TimedOut))?;
        base.handle.retain(); // until it is left, also after `close()`
        Ok(Place {
            condition: slf.clone().unbind(),
            waiter,
            holder: std::ptr::from_ref(open.participant) as u64,
            is_left: AtomicBool::new(false),
        })
    }

    fn _notify(slf: &Bound<'_, Self>, count: i64) -> PyResult<()> {
        let Ok(count) = u64::try_from(count) else {
            return Ok(()); // as threading has it
        };
        let (py, handle) = (slf.py(), &slf.as_super().get().handle);
        let open = handle.open(py)?;
        open.waiting(py, |caller| condition::notify(caller, handle.object, count))
    }

    /// How many threads of all processes wait and are not notified yet.
    #[getter]
    fn _waiters(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let handle = &slf.as_super().get().handle;
        handle.require_open(slf.py())?;
        Ok(condition::unnotified(&handle.space.segment, handle.object))
    }
}

/// None: that took too long.
fn enter(py: Python<'_>, base: &Object, open: &Use<'_>, limit: Limit) -> PyResult<Option<Waiter>> {
    let (object, id) = (base.handle.object, base.handle.id());
    open.waiting_until(py, limit, |caller| {
        let row = Row::reserve(caller)?;
        let waiter = Waiter { object, id, row };
        condition::enter(caller, waiter).inspect_err(|_| row.give(open))?;
        Ok(waiter)
    })
}

/// Whether it was notified, and what a signal handler raised. None: it is left later, as that took too long.
fn leave(
    py: Python<'_>,
    space: &'static Space,
    open: &Use<'_>,
    waiter: Waiter,
    limit: Limit,
) -> (PyResult<Option<bool>>, PyResult<()>) {
    let (left, raised) = uninterruptible_until(py, limit, |wait| {
        let left = condition::leave(Caller::new(space, open, wait), waiter)?;
        waiter.row.give(open);
        Ok(left)
    });
    match left {
        Err(Error::TimedOut) => {
            condition::let_go(space, open, waiter);
            (Ok(None), raised)
        }
        left => (left.map(Some).map_err(|error| raise(py, error)), raised),
    }
}

/// A task's place in the line of those who wait for a notification.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Place {
    condition: Py<Condition>,
    waiter: Waiter,
    /// As whom: another participant is a forked child, where it is its parent's.
    holder: u64,
    is_left: AtomicBool,
}

#[pymethods]
impl Place {
    /// Whether it has been notified; it takes the notification.
    fn is_notified(&self, py: Python<'_>) -> PyResult<bool> {
        let base = self.condition.bind(py).as_super().get();
        let open = base.handle.open(py)?;
        open.waiting(py, |caller| condition::try_take(caller, self.waiter))
    }

    /// Leave the line; whether it has been notified. Does nothing the second time.
    fn leave(&self, py: Python<'_>) -> PyResult<bool> {
        if self.is_left.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let base = self.condition.bind(py).as_super().get();
        let open = base.handle.open_retained(py)?;
        if self.holder != std::ptr::from_ref(open.participant) as u64 {
            return Ok(false);
        }
        let (left, raised) = leave(py, base.handle.space, &open, self.waiter, Limit::NEVER);
        drop(open);
        base.handle.give_up();
        raised?;
        Ok(left?.unwrap_or(false))
    }
}
