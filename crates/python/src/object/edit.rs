//! `with x.edit(...) as value:`: a value taken out, changed in place and stored again, while all other
//! writers wait.

use super::class::Object;
use super::handle::Handle;
use super::immutable::is_immutable;
use crate::room;
use courtyard_core::space::Space;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which value of which object: its key's bytes, its index.
#[derive(Clone, PartialEq, Eq)]
pub struct Spot(*const Space, u64, Vec<u8>);

impl Spot {
    /// # Errors
    /// `MemoryError`.
    pub fn new(handle: &Handle, within: &[u8]) -> PyResult<Spot> {
        let (space, object) = (std::ptr::from_ref(handle.space), handle.object.0);
        Ok(Spot(space, object, room::copy(within)?))
    }
}

thread_local! {
    /// What this thread edits, and by which `Edit`: the lock keeps others out, but not it.
    static EDITED: RefCell<Vec<(*const Edit, Spot)>> = const { RefCell::new(Vec::new()) };
}

/// Where an edited value is.
pub trait Place: Send + Sync {
    /// # Errors
    /// What reading raises; what is raised where there is none.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;

    /// Where it is, once it was read.
    ///
    /// # Errors
    /// `Closed`; what making the key's bytes raises.
    fn spot(&self, py: Python<'_>) -> PyResult<Spot>;

    /// # Errors
    /// What storing raises; then nothing has changed.
    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()>;

    /// What to do with a value that cannot be changed in place.
    fn instead(&self) -> &'static str {
        "use mutate(), or increment() for a number, or assign it with get_lock() held"
    }
}

/// A value that is changed in place while others wait. `edit()` of a Value, a Dict, a List makes one.
#[pyclass(frozen, weakref, module = "courtyard")]
pub struct Edit {
    lock: Py<PyAny>,
    place: Box<dyn Place>,
    /// Inside the block.
    value: Mutex<Option<Py<PyAny>>>,
}

impl Edit {
    pub fn new(lock: Bound<'_, PyAny>, place: impl Place + 'static) -> Edit {
        Edit {
            lock: lock.unbind(),
            place: Box::new(place),
            value: Mutex::new(None),
        }
    }

    fn value(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.lock
            .bind(py)
            .call_method0(intern!(py, "release"))
            .map(drop)
    }

    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = self.place.read(py)?;
        require_changeable(&value, self.place.instead())?;
        let mut held = self.value();
        if held.is_some() {
            let message = "this edit() is under way: call edit() again for another";
            return Err(PyRuntimeError::new_err(message));
        }
        // A shared object is no copy: no change of it is lost.
        if !value.is_instance_of::<Object>() {
            self.begin(self.place.spot(py)?)?;
        }
        *held = Some(value.clone().unbind());
        Ok(value)
    }

    /// Refuses to edit twice at once what each would have a copy of.
    fn begin(&self, spot: Spot) -> PyResult<()> {
        EDITED.with_borrow_mut(|edited| {
            if edited.iter().any(|(_, other)| *other == spot) {
                return Err(PyRuntimeError::new_err(
                    "this thread is in a block of edit() for this value already, and what one block \
                     stores would replace what the other stored: change the value of the outer block",
                ));
            }
            edited.push((self, spot));
            Ok(())
        })
    }

    /// What was edited, if the block was entered.
    fn end(&self) -> Option<Py<PyAny>> {
        EDITED.with_borrow_mut(|edited| edited.retain(|(edit, _)| !std::ptr::eq(*edit, self)));
        self.value().take()
    }
}

#[pymethods]
impl Edit {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock.bind(py).call_method0(intern!(py, "acquire"))?;
        // Before Python 3.14 no signal handler runs between that and the block; from there see Drop.
        self.read(py).or_else(|error| {
            self.release(py)?;
            Err(error)
        })
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let Some(value) = self.end() else {
            return Ok(());
        };
        let stored = match kind.is_none() {
            true => self.place.store(value.bind(py)),
            false => Ok(()),
        };
        let released = self.release(py);
        stored.and(released)
    }
}

impl Drop for Edit {
    fn drop(&mut self) {
        // Entered and never exited: Python 3.14 runs signal handlers after `__enter__`, before the
        // block begins, and calls no `__exit__` if one raises there. Nothing is stored. Without
        // the GIL the interpreter is ending: the lock comes back with this process.
        if self.value().is_none() {
            return;
        }
        Python::try_attach(|py| {
            self.end();
            let pending = PyErr::take(py);
            if let Err(error) = self.release(py) {
                // Another thread, or a forked child, has nothing to release.
                if !error.is_instance_of::<PyRuntimeError>(py) {
                    error.write_unraisable(py, None);
                }
            }
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}

/// Refuses what the block could only replace: that would be lost in silence.
fn require_changeable(value: &Bound<'_, PyAny>, instead: &str) -> PyResult<()> {
    if !is_immutable(value)? {
        return Ok(());
    }
    let name = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "edit() is for values that can be changed in place, found {name}: {instead}"
    )))
}

/// Refuses None from the function of `mutate` for a value that `edit` takes: a function that changes
/// one in place is apt to return nothing.
///
/// # Errors
/// `TypeError`; what looking into the value raises.
pub fn refuse_none(value: &Bound<'_, PyAny>, may_be_none: bool) -> PyResult<()> {
    let is_immutable = is_immutable(value)?;
    if may_be_none && is_immutable {
        return Ok(());
    }
    let edit = if is_immutable { "" } else { ", or use edit()" };
    let assign = if may_be_none {
        "; to store None, assign it"
    } else {
        ""
    };
    Err(PyTypeError::new_err(format!(
        "mutate's function returned None for a value of type {}: return the new value{edit}{assign}",
        value.get_type().name()?
    )))
}
