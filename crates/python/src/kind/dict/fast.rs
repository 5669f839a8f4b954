//! `d[k]`, `d.get(k)` and `k in d` in tens of nanoseconds: the slots that CPython calls for a key, without PyO3's convention.
//! Each tries the one fast path and leaves everything else to the methods.

use super::merge;
use super::quick::{add, find, is_known, remove, store};
use super::state::{Dict, Table};
use crate::abi::{
    Fast, Pointer, base_call, bound, general, guarded, held, install_items, install_methods,
    install_slots, native,
};
use crate::object::Object;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};
use std::ffi::{c_int, c_void};

unsafe extern "C" fn subscript(slf: Pointer, key: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the slot is that of a subclass of Dict.
        let base: &Object = unsafe { native(slf) };
        if merge::is_any()
            && let Some(value) = merge::value(slf, base, key)
        {
            return value;
        }
        if let Some(value) = find(base, key) {
            return value;
        }
        general(|py| {
            let slf = bound(py, slf);
            Dict::__getitem__(slf.cast()?, &bound(py, key)).map(Bound::unbind)
        })
    })
}

/// `get(key, default=None)`.
unsafe extern "C" fn get(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let base: &Object = unsafe { native(slf) };
        if matches!(count, 1 | 2) && names.is_null() {
            // SAFETY: the interpreter passes `count` arguments.
            let key = unsafe { *arguments };
            if let Some(value) = find(base, key) {
                return value;
            }
            if is_known(base, key) == Some(false) {
                let default = match count {
                    // SAFETY: as above.
                    2 => bound(held(), unsafe { *arguments.wrapping_add(1) }),
                    _ => held().None().into_bound(held()),
                };
                return default.into_ptr();
            }
        }
        base_call::<Dict>(slf, c"get", arguments, count, names)
    })
}

unsafe extern "C" fn contains(slf: Pointer, key: Pointer) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Object = unsafe { native(slf) };
        if let Some(known) = is_known(base, key) {
            return c_int::from(known);
        }
        let found = general(|py| {
            let slf = bound(py, slf);
            let known = Table::__contains__(slf.cast()?, &bound(py, key))?;
            Ok(PyBool::new(py, known).to_owned().into_any().unbind())
        });
        if found.is_null() {
            return -1;
        }
        // SAFETY: a singleton, of which we have a reference.
        let known = found == unsafe { ffi::Py_True() };
        // SAFETY: a reference of our own.
        unsafe { ffi::Py_DECREF(found) };
        c_int::from(known)
    })
}

/// `increment(key, n=1, default=0)`.
unsafe extern "C" fn increment(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let base: &Object = unsafe { native(slf) };
        if matches!(count, 1..=3) && names.is_null() {
            // SAFETY: the interpreter passes `count` arguments; the third is for missing keys.
            let key = unsafe { *arguments };
            // SAFETY: as above.
            let n = (count > 1).then(|| unsafe { *arguments.wrapping_add(1) });
            if let Some(sum) = add(base, key, n) {
                return sum;
            }
        }
        base_call::<Dict>(slf, c"increment", arguments, count, names)
    })
}

unsafe extern "C" fn assign_subscript(slf: Pointer, key: Pointer, value: Pointer) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Object = unsafe { native(slf) };
        let done = match value.is_null() {
            true => remove(base, key),
            false => store(base, key, value),
        };
        if done {
            return 0;
        }
        let done = general(|py| {
            let slf = bound(py, slf);
            let (slf, key) = (slf.cast()?, bound(py, key));
            if value.is_null() {
                Dict::__delitem__(slf, &key)?;
            } else {
                Dict::__setitem__(slf, &key, &bound(py, value))?;
            }
            Ok(py.None())
        });
        if done.is_null() {
            return -1;
        }
        // SAFETY: a reference of our own.
        unsafe { ffi::Py_DECREF(done) };
        0
    })
}

/// Gives a subclass of `Dict` the slots and the methods above; its own subclasses inherit them.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let flags = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    let method = |name, function| Fast {
        name,
        method: ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: function,
        },
        flags,
    };
    let methods = [method("get", get), method("increment", increment)];
    install_methods(class, &class.py().get_type::<Dict>(), &methods)?;
    install_items(class, subscript, assign_subscript)?;
    // SAFETY: its signature is that of the slot.
    unsafe { install_slots(class, &[("__contains__", contains as *mut c_void)]) }
}
