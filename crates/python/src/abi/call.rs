//! What a function that CPython calls needs: its arguments, the GIL, and a way to fail.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBool;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

pub type Pointer = *mut ffi::PyObject;

/// `self` as the native class whose layout it has.
///
/// # Safety
/// `slf` is alive, an instance of `T`'s Python class, and the GIL is held.
#[inline(always)]
pub unsafe fn native<'a, T: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync>(
    slf: Pointer,
) -> &'a T {
    let py = held();
    // SAFETY: the caller keeps `slf` alive during the call.
    let object = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: the descriptor checked the type.
    let object = unsafe { object.cast_unchecked::<T>() };
    let native: *const T = object.get();
    // SAFETY: frozen data of an object that the caller keeps alive.
    unsafe { &*native }
}

/// What CPython takes for a failure, with an exception set.
pub trait Failure {
    const FAILURE: Self;
}

impl Failure for Pointer {
    const FAILURE: Pointer = ptr::null_mut();
}

impl Failure for c_int {
    const FAILURE: c_int = -1;
}

impl Failure for ffi::Py_ssize_t {
    const FAILURE: ffi::Py_ssize_t = -1;
}

/// Runs the whole of a function that CPython calls: a panic becomes an exception, as nothing may
/// unwind through C.
#[inline(always)]
pub fn guarded<T: Failure>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

#[cold]
pub fn panicked<T: Failure>() -> T {
    let message = c"courtyard panicked; please report it";
    // SAFETY: set with the interpreter.
    let class = unsafe { ffi::PyExc_RuntimeError };
    // SAFETY: whoever calls a method holds the GIL, and the text ends with a zero.
    unsafe { ffi::PyErr_SetString(class, message.as_ptr()) };
    T::FAILURE
}

/// Runs the general method; its result or exception becomes CPython's.
#[cold]
pub fn general(work: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Pointer {
    let work = |py: Python<'_>| match work(py) {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    };
    // SAFETY: only called from methods, which the interpreter calls with the GIL. So also while it
    // ends and runs `__del__` and `finally`, where `attach` would panic.
    unsafe { Python::attach_unchecked(work) }
}

/// The GIL, which whoever calls a method holds.
#[inline(always)]
pub fn held<'py>() -> Python<'py> {
    // SAFETY: only called from methods, which the interpreter calls with the GIL.
    unsafe { Python::assume_attached() }
}

pub fn none() -> Pointer {
    held().None().into_ptr()
}

pub fn bound<'py>(py: Python<'py>, object: Pointer) -> Bound<'py, PyAny> {
    // SAFETY: an argument of the running call: alive, and borrowed.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}

pub fn truth() -> Pointer {
    let truth: Bound<'_, PyAny> = PyBool::new(held(), true).to_owned().into_any();
    truth.into_ptr()
}

/// An exact int as an index.
#[inline(always)]
pub fn index(key: Pointer) -> Option<i64> {
    // SAFETY: an argument of the running call: alive, and the GIL is held.
    if unsafe { ffi::PyLong_CheckExact(key) } == 0 {
        return None;
    }
    let mut overflow: c_int = 0;
    // SAFETY: an exact int never raises here.
    let index = unsafe { ffi::PyLong_AsLongLongAndOverflow(key, &raw mut overflow) };
    (overflow == 0).then_some(index)
}
