//! `Event`: the native part of `courtyard.Event`.

use crate::deadline::Limit;
use crate::object::waiter::{self, Deadline};
use crate::object::{Address, Object};
use courtyard_core::object::{self, EVENT, change_fast};
use courtyard_core::{flag, wait};
use pyo3::prelude::*;

/// A flag to wait for. `courtyard.Event` is what programs use.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Event;

fn turn(slf: &Bound<'_, Event>, on: bool) -> PyResult<()> {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    let open = handle.open(py)?;
    let (segment, object) = (&handle.space.segment, handle.object);
    // SAFETY: the GIL is held from before this call until after it.
    let done = unsafe {
        change_fast(segment, &open, object, false, || {
            flag::turn(segment, object, on)
        })
    };
    match done {
        Some(()) => Ok(()),
        None => open.waiting(py, |caller| flag::change(caller, object, on)),
    }
}

#[pymethods]
impl Event {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Event>> {
        let base = Object::make(py, object::FLAG, 0, address.as_ref(), |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Event))
    }

    /// Set the flag and wake all waiters, even if clear() follows at once.
    fn set(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn(slf, true)
    }

    /// Clear the flag: wait() waits again.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn(slf, false)
    }

    /// Return whether the flag is set.
    fn is_set(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let handle = &slf.as_super().get().handle;
        handle.require_open(slf.py())?;
        Ok(flag::is_set(flag::word(
            &handle.space.segment,
            handle.object,
        )))
    }

    /// How often it has been set, and whether it is: to ask later whether it was set since.
    fn _word(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let handle = &slf.as_super().get().handle;
        handle.require_open(slf.py())?;
        Ok(flag::word(&handle.space.segment, handle.object))
    }

    /// Whether it is set, or was at some time since `_word()` was this.
    fn _was_set(slf: &Bound<'_, Self>, before: u64) -> PyResult<bool> {
        Ok(flag::was_set(before, Event::_word(slf)?))
    }

    /// Wait until the flag is set, at most timeout seconds; return whether it was.
    ///
    /// It sleeps without using the CPU. Ctrl-C works at once.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Event().wait(timeout=0.01)
    /// False
    #[pyo3(signature = (timeout=None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        let (py, handle) = (slf.py(), &slf.as_super().get().handle);
        let deadline = Deadline::from_timeout(timeout)?;
        let Some(_open) = handle.open_until(py, Limit::of(Some(deadline)))? else {
            return Ok(false);
        };
        let (space, object) = (handle.space, handle.object);
        let before = flag::word(&space.segment, object);
        let event = object + EVENT;
        let set = waiter::attempt(py, handle, event, Some(deadline), wait::LOOK_AGAIN, || {
            let now = flag::word(&space.segment, object);
            Ok(flag::was_set(before, now).then_some(()))
        })?;
        Ok(set.is_some())
    }
}
