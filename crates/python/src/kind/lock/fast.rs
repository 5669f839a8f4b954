//! `Lock` and `RLock`.

use super::class::{Lock, RLock};
use super::state::{quick_acquire, quick_release};
use crate::abi::{Fast, Pointer, base_call, guarded, install_methods, native, none, truth};
use crate::object::Object;
use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ptr;

/// Calls the method of a lock's native base.
#[cold]
fn lock_call(
    lock: &Object,
    slf: Pointer,
    name: &std::ffi::CStr,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    if lock.kind == courtyard_core::object::MUTEX {
        return base_call::<Lock>(slf, name, arguments, count, names);
    }
    base_call::<RLock>(slf, name, arguments, count, names)
}

unsafe extern "C" fn lock_acquire(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let lock: &Object = unsafe { native(slf) };
        if count == 0 && names.is_null() && quick_acquire(lock) {
            return truth();
        }
        lock_call(lock, slf, c"acquire", arguments, count, names)
    })
}

unsafe extern "C" fn lock_enter(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let lock: &Object = unsafe { native(slf) };
        if quick_acquire(lock) {
            return truth();
        }
        lock_call(lock, slf, c"__enter__", ptr::null(), 0, ptr::null_mut())
    })
}

unsafe extern "C" fn lock_release(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let lock: &Object = unsafe { native(slf) };
        if quick_release(lock) {
            return none();
        }
        lock_call(lock, slf, c"release", ptr::null(), 0, ptr::null_mut())
    })
}

unsafe extern "C" fn lock_exit(slf: Pointer, _: *mut Pointer, _: ffi::Py_ssize_t) -> Pointer {
    guarded(|| {
        // SAFETY: as a method without arguments.
        unsafe { lock_release(slf, ptr::null_mut()) }
    })
}

fn methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "acquire",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: lock_acquire,
            },
            flags: keywords,
        },
        Fast {
            name: "release",
            method: ffi::PyMethodDefPointer {
                PyCFunction: lock_release,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__enter__",
            method: ffi::PyMethodDefPointer {
                PyCFunction: lock_enter,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__exit__",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFast: lock_exit,
            },
            flags: ffi::METH_FASTCALL,
        },
    ]
}

/// Gives a subclass of `T`, a lock of either kind, the methods above.
///
/// # Errors
/// `MemoryError`.
pub fn install<T: PyClass>(class: &Bound<'_, PyType>) -> PyResult<()> {
    install_methods(class, &class.py().get_type::<T>(), &methods())
}
