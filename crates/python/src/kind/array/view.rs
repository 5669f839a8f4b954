//! Views: the buffer protocol, on the very memory of the elements.

use super::state::{Elements, RawArray};
use crate::object::This;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::ptr::{self, NonNull};

/// Where the elements are in this process.
pub fn address(this: Elements<'_>) -> NonNull<u8> {
    this.handle.space.segment.address(this.start)
}

/// Fills in a view. It keeps the object, and its membership after `close()` too.
///
/// # Errors
/// `Closed`, `NotFound`; `BufferError` for what these elements cannot be.
///
/// # Safety
/// `view` is null or a `Py_buffer` to be written.
pub unsafe fn fill(
    slf: &Bound<'_, RawArray>,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    let this = This::of(slf);
    let refuse = |why: &'static str| Err(PyBufferError::new_err(why));
    // SAFETY: the caller's; nobody else has it yet.
    let Some(view) = (unsafe { view.as_mut() }) else {
        return refuse("a view is needed");
    };
    view.obj = ptr::null_mut();
    let wants = |flag: c_int| flags & flag == flag;
    if this.shape.len() > 1 && wants(ffi::PyBUF_F_CONTIGUOUS) && !wants(ffi::PyBUF_ANY_CONTIGUOUS) {
        return refuse("the elements are in C's order, not Fortran's");
    }
    if wants(ffi::PyBUF_FORMAT) && this.layout.is_none() {
        return refuse(
            "the buffer protocol has no letter for this dtype; np.asarray() takes it otherwise",
        );
    }
    this.handle.require_open(slf.py())?;
    this.handle.retain();
    view.buf = address(this).as_ptr().cast();
    view.len = this.bytes() as ffi::Py_ssize_t;
    view.itemsize = this.size as ffi::Py_ssize_t;
    view.readonly = 0;
    view.ndim = this.shape.len() as c_int;
    view.format = match &this.layout {
        Some(layout) if wants(ffi::PyBUF_FORMAT) => layout.as_ptr().cast_mut(),
        _ => ptr::null_mut(),
    };
    view.shape = match wants(ffi::PyBUF_ND) {
        true => this.shape.as_ptr().cast_mut(),
        false => ptr::null_mut(),
    };
    view.strides = match wants(ffi::PyBUF_STRIDES) {
        true => this.strides.as_ptr().cast_mut(),
        false => ptr::null_mut(),
    };
    view.suboffsets = ptr::null_mut();
    view.internal = ptr::null_mut();
    view.obj = slf.clone().into_any().into_ptr();
    Ok(())
}
