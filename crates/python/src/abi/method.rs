//! Methods of a class that come before those of its native base.

use super::call::{Pointer, bound, general};
use super::publish;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::{CString, c_int};

/// A method of the base and the fast function that comes before it.
pub struct Fast {
    pub name: &'static str,
    pub method: ffi::PyMethodDefPointer,
    pub flags: c_int,
}

/// A C string that lives as long as the process, as method definitions need.
pub fn forever(text: String) -> *const std::ffi::c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// The base method's signature and docstring, as CPython keeps them in one string.
fn documentation(base: &Bound<'_, PyType>, name: &str) -> PyResult<String> {
    let method = base.getattr(name)?;
    let signature: Option<String> = method.getattr("__text_signature__")?.extract()?;
    let text: Option<String> = method.getattr("__doc__")?.extract()?;
    let signature = signature.map(|signature| format!("{name}{signature}\n--\n\n"));
    Ok(signature.unwrap_or_default() + &text.unwrap_or_default())
}

/// Gives a class these methods, with the base's signatures and documentation.
///
/// # Errors
/// `MemoryError`.
pub fn install_methods(
    class: &Bound<'_, PyType>,
    base: &Bound<'_, PyType>,
    methods: &[Fast],
) -> PyResult<()> {
    for fast in methods {
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: forever(fast.name.into()),
            ml_meth: fast.method,
            ml_flags: fast.flags,
            ml_doc: forever(documentation(base, fast.name)?),
        }));
        // SAFETY: the class is alive and the definition lives for ever.
        let made = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
        // SAFETY: a new reference, or null with an exception set.
        let descriptor = unsafe { Bound::from_owned_ptr_or_err(class.py(), made) }?;
        class.setattr(fast.name, descriptor)?;
    }
    Ok(())
}

/// Calls the native base's method of that name.
#[cold]
pub fn base_call<T: pyo3::PyClass>(
    slf: Pointer,
    name: &std::ffi::CStr,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    general(|py| {
        let method = py
            .get_type::<T>()
            .getattr(name.to_str().unwrap_or_default())?;
        let keywords = if names.is_null() {
            0
        } else {
            // SAFETY: a tuple.
            unsafe { ffi::PyTuple_GET_SIZE(names) }
        };
        let total = (count + keywords) as usize;
        let mut all = Vec::with_capacity(total + 1);
        all.push(slf);
        if total > 0 {
            // SAFETY: the interpreter passes that many.
            all.extend_from_slice(unsafe { std::slice::from_raw_parts(arguments, total) });
        }
        // SAFETY: `all` holds `slf`, the positional and the keyword arguments, all alive.
        let result = unsafe {
            ffi::PyObject_Vectorcall(method.as_ptr(), all.as_ptr(), (count + 1) as usize, names)
        };
        // SAFETY: a new reference, or null with an exception set.
        let result = unsafe { Bound::from_owned_ptr_or_err(py, result) };
        result.map(Bound::unbind).map_err(|error| {
            let name = name.to_string_lossy();
            let title = format!("{}.{name}()", T::NAME);
            publish::renamed(&bound(py, slf), error, &title, &name)
        })
    })
}
