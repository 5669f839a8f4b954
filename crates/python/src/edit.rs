//! `with x.edit(...) as value:`: a value taken out, changed in place and stored again, while all other
//! writers wait.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyComplex, PyFloat, PyFrozenSet, PyInt, PyNone, PyRange, PyString,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where an edited value is.
pub trait Place: Send + Sync {
    /// # Errors
    /// What reading raises; what is raised where there is none.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;

    /// # Errors
    /// What storing raises; then nothing has changed.
    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()>;
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
        require_changeable(&value)?;
        let mut held = self.value();
        if held.is_some() {
            let message = "this edit() is under way: call edit() again for another";
            return Err(PyRuntimeError::new_err(message));
        }
        *held = Some(value.clone().unbind());
        Ok(value)
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
        let Some(value) = self.value().take() else {
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
            self.value().take();
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
fn require_changeable(value: &Bound<'_, PyAny>) -> PyResult<()> {
    let is_fixed = value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyComplex>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyFrozenSet>()
        || value.is_exact_instance_of::<PyRange>()
        || value.is_exact_instance_of::<PyNone>();
    if !is_fixed {
        return Ok(());
    }
    let name = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "edit() is for values that can be changed in place, found {name}: assign it, with get_lock() \
         held, or use increment(), or mutate() of a container"
    )))
}
