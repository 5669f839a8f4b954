//! `Value`: a value that its user may lock for more than one operation.

use super::state::RawValue;
use crate::argument::Truth;
use crate::deadline::Deadline;
use crate::object::{
    Address, Edit, Handle, ObjectLock, PLAIN, Place, Spot, This, acquire, acquire_deadline, release,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// A shared value with a lock. `courtyard.Value` is what programs use.
#[pyclass(frozen, subclass, extends = RawValue, module = "courtyard._native")]
pub struct Value;

fn handle<'a>(slf: &'a Bound<'_, Value>) -> &'a Handle {
    &slf.as_super().as_super().get().handle
}

#[pymethods]
impl Value {
    #[new]
    #[pyo3(signature = (code, length, declared, ctype, address=None))]
    fn new(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Value>> {
        let raw = RawValue::make(py, code, length, declared, ctype, true, address)?;
        Ok(raw.add_subclass(Value))
    }

    /// Acquire the value's lock, get_lock(); see there.
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(slf, blocking, timeout, block)?;
        acquire(slf.py(), handle(slf), deadline)
    }

    /// Release the value's lock, get_lock(); see there.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), handle(slf))
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        acquire(slf.py(), handle(slf), Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        release(slf.py(), handle(slf))
    }

    /// Return a ctypes object of the shared memory itself, as multiprocessing's get_obj() does.
    ///
    /// Reads and writes through it are plain memory accesses: no lock, no wake-up, and larger
    /// ones may tear. It keeps the value open.
    ///
    /// Raises TypeError for a value not declared by a typecode or a ctypes type.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 7).get_obj()
    /// c_int(7)
    fn get_obj<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0("_plain")
    }

    /// Return the value's lock: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done. `with value:` is the same lock.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 1)
    /// >>> with v.get_lock():
    /// ...     v.value += 1
    /// >>> v.value
    /// 2
    fn get_lock(slf: &Bound<'_, Self>) -> ObjectLock {
        ObjectLock::new(slf.as_super().as_super(), &PLAIN)
    }

    /// Change the value in place: `with v.edit() as value:`. What the block made of it is stored.
    ///
    /// Holds get_lock() from before the value is read until it is stored, so that it is exact beside
    /// all other writers, which wait for it. If the block raises, nothing is stored. It is for
    /// values that can be changed in place: a list, an array, an object, a Structure. To assign to
    /// the name in the block has no effect.
    ///
    /// Raises TypeError, before the block, for a value that cannot be changed in place, nor anything in
    /// it: a number, a text, None, a datetime, a tuple of these. mutate() replaces such a value. Raises
    /// RuntimeError in another block of it in the same thread, and what reading and storing raise, which leaves the old value. A process killed in the block has
    /// stored nothing, and the lock is free again.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value(object, {"seen": []})
    /// >>> with v.edit() as value:
    /// ...     value["seen"].append("a")
    /// >>> v.value
    /// {'seen': ['a']}
    fn edit(slf: &Bound<'_, Self>) -> PyResult<Edit> {
        let py = slf.py();
        let lock = match slf.get_type().getattr_opt(intern!(py, "_given_lock"))? {
            Some(given) => given.call_method1(intern!(py, "__get__"), (slf,))?,
            None => Bound::new(py, Value::get_lock(slf))?.into_any(),
        };
        Ok(Edit::new(lock, Whole(slf.as_super().clone().unbind())))
    }
}

/// The value itself, as `edit()` reads and stores it.
struct Whole(Py<RawValue>);

impl Place for Whole {
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = This::of(self.0.bind(py)).get(py)?;
        Ok(value.into_bound(py))
    }

    fn spot(&self, py: Python<'_>) -> PyResult<Spot> {
        let base = self.0.bind(py).as_super().get();
        Spot::new(&base.handle, &[])
    }

    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        This::of(self.0.bind(value.py())).set(value)
    }
}
