//! `Lock` and `RLock`.

use super::{Fast, Object, base_call, guarded, native, none, truth};
use crate::mutex::{Mutex, RMutex};
use crate::primitive::Primitive;
use pyo3::ffi;
use std::ptr;

/// Calls the method of a lock's native base.
#[cold]
fn lock_call(
    mutex: &Primitive,
    slf: Object,
    name: &std::ffi::CStr,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    if mutex.kind == courtyard_core::cell::MUTEX {
        return base_call::<Mutex>(slf, name, arguments, count, names);
    }
    base_call::<RMutex>(slf, name, arguments, count, names)
}

unsafe extern "C" fn mutex_acquire(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let mutex: &Primitive = unsafe { native(slf) };
        if count == 0 && names.is_null() && mutex.quick_acquire() {
            return truth();
        }
        lock_call(mutex, slf, c"acquire", arguments, count, names)
    })
}

unsafe extern "C" fn mutex_enter(slf: Object, _: Object) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let mutex: &Primitive = unsafe { native(slf) };
        if mutex.quick_acquire() {
            return truth();
        }
        lock_call(mutex, slf, c"__enter__", ptr::null(), 0, ptr::null_mut())
    })
}

unsafe extern "C" fn mutex_release(slf: Object, _: Object) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let mutex: &Primitive = unsafe { native(slf) };
        if mutex.quick_release() {
            return none();
        }
        lock_call(mutex, slf, c"release", ptr::null(), 0, ptr::null_mut())
    })
}

unsafe extern "C" fn mutex_exit(slf: Object, _: *mut Object, _: ffi::Py_ssize_t) -> Object {
    guarded(|| {
        // SAFETY: as a method without arguments.
        unsafe { mutex_release(slf, ptr::null_mut()) }
    })
}

pub fn methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "acquire",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: mutex_acquire,
            },
            flags: keywords,
        },
        Fast {
            name: "release",
            method: ffi::PyMethodDefPointer {
                PyCFunction: mutex_release,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__enter__",
            method: ffi::PyMethodDefPointer {
                PyCFunction: mutex_enter,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__exit__",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFast: mutex_exit,
            },
            flags: ffi::METH_FASTCALL,
        },
    ]
}
