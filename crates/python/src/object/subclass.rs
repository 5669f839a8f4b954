//! Objects of classes of programs that have an `__init__`: it says with which arguments they are made.
//!
//! `__new__` gives such an object a handle of nothing (`Handle::unmade`), with which every operation
//! fails. When `__init__` calls ours, `courtyard._object.subclass` makes an object of courtyard's own class, and
//! what that has natively becomes the other's (`adopt`).

use super::class::{Object, require_handle};
use super::initialise::{initialise, twice};
use crate::abi::{Pointer, bound, general, guarded, install_slots, native};
use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use std::ffi::{c_int, c_void};
use std::ptr;

/// As `initialise`, through CPython's slot: each object of courtyard's own classes comes here when it is
/// made.
unsafe extern "C" fn begin(slf: Pointer, arguments: Pointer, keywords: Pointer) -> c_int {
    guarded(|| {
        // SAFETY: the slot is that of `Object`.
        let handle = &unsafe { native::<Object>(slf) }.handle;
        if handle.is_made() && !handle.settle() {
            return 0;
        }
        let done = general(|py| {
            let slf = bound(py, slf);
            if handle.is_made() {
                return Err(twice(&slf));
            }
            let arguments = bound(py, arguments);
            // SAFETY: null, or an argument of the running call.
            let keywords = unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) };
            let keywords = keywords.as_ref().map(Bound::cast).transpose()?;
            initialise(&slf, handle, arguments.cast()?, keywords)?;
            Ok(py.None())
        });
        if done.is_null() { -1 } else { 0 }
    })
}

/// Gives the native classes their `__init__`.
///
/// # Errors
/// `MemoryError`.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let begin: ffi::initproc = begin;
    // SAFETY: its type is that of the slot.
    unsafe {
        install_slots(
            &py.get_type::<Object>(),
            &[("__init__", begin as *mut c_void)],
        )
    }
}

/// Whether there is an object: not so before an `__init__` of a subclass calls ours.
#[pyfunction]
pub fn is_made(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(require_handle(object)?.is_made())
}

/// Makes `unmade`, an object without one, that of `made`, as far as every object has it; what their
/// native class adds is to be exchanged, too. Both are of one native class.
///
/// # Errors
/// `TypeError` if `unmade` has an object, or `made` has none.
pub fn begin_swap(unmade: &Bound<'_, PyAny>, made: &Bound<'_, PyAny>) -> PyResult<()> {
    let (Ok(to), Ok(from)) = (unmade.cast::<Object>(), made.cast::<Object>()) else {
        return Err(unlike());
    };
    let (to, from) = (to.get(), from.get());
    if to.handle.is_made() || !from.handle.is_made() {
        return Err(unlike());
    }
    exchange::<Object>(unmade, made);
    to.handle.settle();
    Ok(())
}

pub fn unlike() -> PyErr {
    PyTypeError::new_err("expected an object that is not made yet, and one of its kind that is")
}

/// Swaps what two objects have of a native class, if both are of it.
pub fn exchange<T: PyClass<Frozen = True> + Sync>(
    one: &Bound<'_, PyAny>,
    other: &Bound<'_, PyAny>,
) {
    let (Ok(one), Ok(other)) = (one.cast::<T>(), other.cast::<T>()) else {
        return;
    };
    let (one, other) = (
        ptr::from_ref(one.get()).cast_mut(),
        ptr::from_ref(other.get()).cast_mut(),
    );
    // SAFETY: with the GIL, and nobody relies on what either holds: `other` was just made and is its
    // maker's alone; and whoever is inside a method of the unmade `one`, perhaps in Python code that an
    // argument runs, has got no further than that, as no handle of nothing can be opened. Both have
    // atomics in them, so the compiler takes nothing that was read before a call for still true after it.
    unsafe { ptr::swap(one, other) };
}
