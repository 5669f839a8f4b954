//! `RawValue`: one shared value.

use super::state::RawValue;
use super::view::{self, Memory};
use crate::argument::Given;
use crate::object::{self, Address, This};
use crate::room;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use std::ffi::c_int;

#[pymethods]
impl RawValue {
    #[new]
    #[pyo3(signature = (code, length, declared, ctype, address=None))]
    fn new(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<RawValue>> {
        RawValue::make(py, code, length, declared, ctype, false, address)
    }

    /// Return the value; never torn, whatever its size, and never waits for a lock.
    ///
    /// A scalar is one load, about 20 ns; bytes and objects are copied out. A Structure or array
    /// comes as a copy. `value` is the same as an attribute.
    ///
    /// Raises Closed after close(), NotFound in a child that could not inherit the value.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 5).get()
    /// 5
    fn get(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        This::of(slf).get(slf.py())
    }

    /// Store a value and wake the waiters.
    ///
    /// Waits while another holds get_lock(). A scalar is one store; bytes and objects change
    /// wholly or not at all, also if this process is killed meanwhile. When set() has returned,
    /// the value survives this process.
    ///
    /// Raises TypeError or OverflowError for what the declared type does not take, SpaceFull when
    /// there is no room for an object; the old value then stays.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value(object)
    /// >>> v.set({"a": [1, 2]})
    /// >>> v.get()
    /// {'a': [1, 2]}
    fn set(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        This::of(slf).set(value)
    }

    /// The value itself, to read (get()) and to write (set()).
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("d", 0.5)
    /// >>> v.value *= 3  # two operations: use increment() or get_lock() among processes
    /// >>> v.value
    /// 1.5
    #[getter]
    fn get_value(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        This::of(slf).get(slf.py())
    }

    #[setter]
    fn set_value(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        This::of(slf).set(value)
    }

    /// Add n (1 if not given) atomically and return the new value.
    ///
    /// C integers wrap as C's do; an int raises OverflowError beyond 64 bits; to an object n is
    /// added as in Python, again if another process changed the object meanwhile. Waits while
    /// another holds get_lock(). About 30 ns for an integer.
    ///
    /// Raises TypeError for a value that is not a number. A killed process has added n or not.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 40).increment(2)
    /// 42
    #[pyo3(signature = (n=Given(None)), text_signature = "($self, /, n=1)")]
    fn increment(slf: &Bound<'_, Self>, n: Given<'_>) -> PyResult<Py<PyAny>> {
        This::of(slf).increment(slf.py(), n.0)
    }

    /// Store a new value and return the one it replaced, atomically.
    ///
    /// Waits and raises as set() does, and is as safe when killed.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 1).exchange(2)
    /// 1
    fn exchange(slf: &Bound<'_, Self>, new: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        This::of(slf).exchange(new)
    }

    /// Store a new value if the value equals what is expected; return whether it did, atomically.
    ///
    /// Waits and raises as set() does, and is as safe when killed; raises what the comparison
    /// raises. Arrays and DataFrames are compared as a whole: they are equal if all elements are.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 1)
    /// >>> v.compare_exchange(1, 2), v.compare_exchange(1, 3), v.value
    /// (True, False, 2)
    fn compare_exchange(
        slf: &Bound<'_, Self>,
        expected: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        This::of(slf).compare_exchange(expected, new)
    }

    /// Replace the value by fn(value), atomically, and return the new value.
    ///
    /// Nothing is locked while fn runs, and **fn may be called again** if another writer changed the
    /// value in between, so it should have no other effects. After 30 such calls, get_lock() is held
    /// for the next (with lock=False there is none: then fn is called up to 100,000 times; a lock that
    /// was given is held from the first call on). So fn must not wait for what another process or thread
    /// does, which may wait for that lock. fn gets a copy of the value and must **return the
    /// new value**: changing the copy alone has no effect. `with v.edit() as value:`
    /// is for changes in place. What fn returns is converted as set() does it: "i" wraps, a Structure
    /// may be a tuple of its fields. Waits while another holds get_lock(). Half a microsecond for a
    /// number, beside what fn takes.
    ///
    /// Raises what fn raises, what set() raises for its result, RuntimeError if fn itself changes the
    /// value, and SpaceFull; and TypeError if fn returns None where no None can be, or for what can be
    /// changed in place (a list, an array, an object: all that edit() takes), which is nearly always a
    /// `return` that was forgotten: to store None, assign it. Then nothing else has changed. A process
    /// killed meanwhile has replaced the value, or not.
    ///
    /// >>> import courtyard as cy
    /// >>> best = cy.Value("d", 0.5)
    /// >>> best.mutate(lambda found: max(found, 0.75))
    /// 0.75
    /// >>> state = cy.Value(object, ("idle", 0))
    /// >>> state.mutate(lambda state: ("busy", state[1] + 1))
    /// ('busy', 1)
    fn mutate<'py>(
        slf: &Bound<'py, Self>,
        r#fn: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        This::of(slf).mutate(slf.py(), r#fn)
    }

    /// Wait until a condition holds; return what it returned, or False after timeout seconds.
    ///
    /// x is called with the value if it can be called, else the value must equal it. Sleeps
    /// without using the CPU and is woken by the change; a change undone at once may be missed.
    /// Ctrl-C works at once. If a writer dies, waiters are still woken.
    ///
    /// Raises what x raises; ValueError for a timeout of NaN.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 3)
    /// >>> v.wait_for(3), v.wait_for(lambda n: n > 5, timeout=0.01)
    /// (True, False)
    #[pyo3(signature = (x, timeout=None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        object::wait_for(slf.as_super(), timeout, || {
            let value = This::of(slf).get(slf.py())?.into_bound(slf.py());
            object::test(x, value)
        })
    }

    /// All bytes of a `c_char` array or another ctypes value.
    fn _bytes<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let (py, this) = (slf.py(), This::of(slf));
        this.require_bytes()?;
        let open = this.handle.open(py)?;
        room::python_bytes(py, &this.read_bytes(py, &open)?)
    }

    /// Writes some of these bytes, all of them or none; with `expected`, if all read so.
    #[pyo3(signature = (offset, data, expected=None))]
    fn _write(
        slf: &Bound<'_, Self>,
        offset: u64,
        data: &[u8],
        expected: Option<&[u8]>,
    ) -> PyResult<bool> {
        let this = This::of(slf);
        this.require_bytes()?;
        this.write_bytes(slf.py(), offset, data, expected)
    }

    /// A ctypes object on the very memory.
    fn _plain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let ctype = slf.get().ctype.bind(slf.py());
        if ctype.is_none() {
            return Err(PyTypeError::new_err(
                "only a value of a ctypes type has a ctypes view: expected a typecode or a ctypes \
                 type, as in Value('i'); use .value",
            ));
        }
        let memory = Bound::new(slf.py(), Memory(slf.clone().unbind()))?;
        ctype.call_method1("from_buffer", (memory,))
    }

    #[getter]
    fn _declared(&self, py: Python<'_>) -> Py<PyAny> {
        self.declared.clone_ref(py)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        class
            .py()
            .import("types")?
            .getattr("GenericAlias")?
            .call1((class, item))
    }

    /// # Safety
    /// Called by the interpreter with a `Py_buffer` to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: the interpreter's view.
        unsafe { view::fill(&slf, view, flags) }
    }

    /// # Safety
    /// Called by the interpreter with a view made above.
    unsafe fn __releasebuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer) {
        // SAFETY: as above.
        unsafe { view::release(&slf, view) }
    }
}
