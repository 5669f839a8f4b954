//! Special methods of a class, through CPython's slots.

use super::call::Pointer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::c_void;

unsafe extern "C" {
    /// Of CPython's `cpython/descrobject.h`, and not in pyo3-ffi.
    fn PyDescr_NewWrapper(
        class: *mut ffi::PyTypeObject,
        base: *mut ffi::wrapperbase,
        function: *mut c_void,
    ) -> Pointer;
}

/// Gives a class these functions in the place of those that its base's special methods wrap. CPython
/// calls them from the slot without a detour, for subclasses too that define no such method.
///
/// # Errors
/// `TypeError` if the base's method is none of a slot; `MemoryError`.
///
/// # Safety
/// Each function is of the signature that the slot has.
pub unsafe fn install_slots(
    class: &Bound<'_, PyType>,
    functions: &[(&str, *mut c_void)],
) -> PyResult<()> {
    let py = class.py();
    for &(name, function) in functions {
        let method = class.getattr(name)?;
        if method.get_type().as_type_ptr() != &raw mut ffi::PyWrapperDescr_Type {
            let what = format!("{name} of {class} is no method of a slot");
            return Err(pyo3::exceptions::PyTypeError::new_err(what));
        }
        // SAFETY: its type says that it is one; what it refers to lives as long as the interpreter.
        let base = unsafe { (*method.as_ptr().cast::<ffi::PyWrapperDescrObject>()).d_base };
        // SAFETY: the class is alive, the base a slot's, the function as the caller promised.
        let made = unsafe { PyDescr_NewWrapper(class.as_type_ptr(), base, function) };
        // SAFETY: a new reference, or null with an exception set.
        let descriptor = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
        class.setattr(name, descriptor)?;
    }
    Ok(())
}

/// As `install_slots`, the methods of items.
///
/// # Errors
/// As `install_slots`.
pub fn install_items(
    class: &Bound<'_, PyType>,
    subscript: ffi::binaryfunc,
    assign: ffi::objobjargproc,
) -> PyResult<()> {
    let functions = [
        ("__getitem__", subscript as *mut c_void),
        ("__setitem__", assign as *mut c_void),
        ("__delitem__", assign as *mut c_void),
    ];
    // SAFETY: their types are those of the slots.
    unsafe { install_slots(class, &functions) }
}
