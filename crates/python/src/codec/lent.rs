//! Read-only NumPy arrays, pickled as arrays that their loader may write to.

use super::buffer::View;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use std::ffi::c_int;

/// A read-only array, reduced as one that is not: whoever loads it has a copy, which is his own. None:
/// it is anything else.
///
/// # Errors
/// What reducing it raises.
pub fn reduce_lent<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // Without a buffer, or with gaps in it, it is copied into the pickle, and comes out writable.
    if !is_ndarray(value) || View::new(value).is_ok_and(|view| view.is_writable()) {
        return Ok(None);
    }
    let py = value.py();
    let reduced = value.call_method1(intern!(py, "__reduce_ex__"), (5,))?;
    let Ok((make, arguments)) = reduced.extract::<(Bound<'py, PyAny>, Bound<'py, PyTuple>)>()
    else {
        return Ok(Some(reduced));
    };
    static PICKLE_BUFFER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = PICKLE_BUFFER.import(py, "pickle", "PickleBuffer")?;
    let mut arguments: Vec<_> = arguments.iter().collect();
    if let Some(buffer) = arguments.first_mut()
        && buffer.is_instance(class)?
    {
        *buffer = class.call1((Bound::new(py, Lent(value.clone().unbind()))?,))?;
        let arguments = PyTuple::new(py, arguments)?;
        return Ok(Some((make, arguments).into_pyobject(py)?.into_any()));
    }
    Ok(Some(reduced))
}

/// The memory of a read-only array, shown to a pickler as if it might be written to.
#[pyclass(frozen, module = "courtyard._native")]
struct Lent(Py<PyAny>);

#[pymethods]
impl Lent {
    /// # Safety
    /// Called by the interpreter with a view to fill.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let flags = flags & !ffi::PyBUF_WRITABLE;
        // SAFETY: the interpreter's view, and an array that lives.
        if unsafe { ffi::PyObject_GetBuffer(slf.get().0.as_ptr(), view, flags) } != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        // SAFETY: the interpreter's view, filled just now.
        let Some(view) = (unsafe { view.as_mut() }) else {
            return Ok(());
        };
        view.readonly = 0;
        let array = std::mem::replace(&mut view.obj, slf.clone().into_ptr());
        // SAFETY: the view's reference; `slf` keeps the array, too. Arrays of NumPy's have nothing to
        // do when a view ends.
        unsafe { ffi::Py_DECREF(array) };
        Ok(())
    }
}

/// Whether it is one of NumPy's own arrays. Its class is no heap type, as any class made in Python is.
pub fn is_ndarray(value: &Bound<'_, PyAny>) -> bool {
    let class = value.get_type_ptr();
    // SAFETY: an object's class is alive as long as it is.
    let class = unsafe { &*class };
    if class.tp_flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 || class.tp_name.is_null() {
        return false;
    }
    // SAFETY: the name of a class is a string that ends in NUL.
    let name = unsafe { std::ffi::CStr::from_ptr(class.tp_name) };
    name == c"numpy.ndarray"
}
