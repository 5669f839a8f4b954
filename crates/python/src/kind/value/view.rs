//! Views: the buffer protocol, on the very memory of a value.

use super::state::RawValue;
use crate::format::Format;
use crate::object::This;
use courtyard_core::object::{DATA, payload};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use std::ffi::{CString, c_int, c_void};

/// What a view says of its memory: the letters of its elements, and how many there are.
struct Shape {
    format: CString,
    lengths: Vec<isize>,
    strides: Vec<isize>,
}

impl Shape {
    fn of(this: This<'_, RawValue>, py: Python<'_>, bytes: isize) -> PyResult<Shape> {
        let module = py.import(intern!(py, "courtyard._value.element"))?;
        let shape = module.call_method1(intern!(py, "shape_of"), (&this.declared,))?;
        let (format, lengths): (String, Vec<isize>) = shape.extract()?;
        let mut strides = lengths.clone();
        let mut rest = bytes;
        for stride in &mut strides {
            rest /= (*stride).max(1);
            *stride = rest;
        }
        Ok(Shape {
            format: CString::new(format)?,
            lengths,
            strides,
        })
    }
}

/// Where a value is in this process, and how long it is.
fn place(this: This<'_, RawValue>) -> (*mut c_void, ffi::Py_ssize_t) {
    let object = this.handle.object;
    let (start, length) = match this.format.width() {
        0 => (payload(object), this.handle.length),
        width => (object + DATA, u64::from(width)),
    };
    let address = this.handle.space.segment.address(start);
    (address.as_ptr().cast(), length as ffi::Py_ssize_t)
}

/// Fills in a view, which keeps the value open.
///
/// # Errors
/// `TypeError` for a value with a lock, which as a standard one has no buffer; `BufferError` for one of
/// any object; `Closed`, `NotFound`.
///
/// # Safety
/// `view` is a `Py_buffer` to be written.
pub unsafe fn fill(
    slf: &Bound<'_, RawValue>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    let (py, this) = (slf.py(), This::of(slf));
    if this.format == Format::Stored {
        let message = "a value of any object has no buffer; use .value";
        return Err(PyBufferError::new_err(message));
    }
    this.handle.require_open(py)?;
    if this.guarded {
        let message = "a Value has no buffer: use .value, or get_obj() with get_lock() held";
        return Err(PyTypeError::new_err(message));
    }
    let (start, length) = place(this);
    let shape = Box::new(Shape::of(this, py, length)?);
    // SAFETY: the interpreter's view; the memory stays mapped and ours while `slf` lives.
    if unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 0, flags) } != 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: as above.
    let view = unsafe { &mut *view };
    let wants = |flag: c_int| flags & flag == flag;
    view.itemsize = length / shape.lengths.iter().product::<isize>().max(1);
    view.ndim = shape.lengths.len() as c_int;
    if wants(ffi::PyBUF_FORMAT) {
        view.format = shape.format.as_ptr().cast_mut();
    }
    if wants(ffi::PyBUF_ND) {
        view.shape = shape.lengths.as_ptr().cast_mut();
    }
    if wants(ffi::PyBUF_STRIDES) {
        view.strides = shape.strides.as_ptr().cast_mut();
    }
    view.internal = Box::into_raw(shape).cast();
    this.handle.export();
    Ok(())
}

/// Ends a view.
///
/// # Safety
/// `fill` filled it in.
pub unsafe fn release(slf: &Bound<'_, RawValue>, view: *mut ffi::Py_buffer) {
    // SAFETY: the interpreter's view.
    let shape = unsafe { (*view).internal };
    // SAFETY: as the caller promised; it is released once.
    drop(unsafe { Box::from_raw(shape.cast::<Shape>()) });
    This::of(slf).handle.unexport();
}

/// The memory of a value, for ctypes to make an object of: a value with a lock has no buffer itself.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Memory(pub Py<RawValue>);

#[pymethods]
impl Memory {
    /// # Safety
    /// Called by the interpreter with a `Py_buffer` to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = This::of(slf.get().0.bind(slf.py()));
        this.handle.require_open(slf.py())?;
        let (start, length) = place(this);
        // SAFETY: the interpreter's view; the memory stays mapped and ours while `slf` lives.
        if unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 0, flags) } != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        this.handle.export();
        Ok(())
    }

    /// # Safety
    /// Called by the interpreter with a view made above.
    unsafe fn __releasebuffer__(slf: Bound<'_, Self>, _view: *mut ffi::Py_buffer) {
        This::of(slf.get().0.bind(slf.py())).handle.unexport();
    }
}
