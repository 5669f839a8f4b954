//! `Semaphore` and `BoundedSemaphore`.

use super::class::Semaphore;
use crate::abi::{Fast, Pointer, base_call, guarded, install_methods, native, none, truth};
use crate::object::Object;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ptr;

/// A semaphore and what every object has.
///
/// # Safety
/// As `native`.
#[inline(always)]
unsafe fn semaphore<'a>(slf: Pointer) -> (&'a Semaphore, &'a Object) {
    // SAFETY: as the caller promised.
    let own: &Semaphore = unsafe { native(slf) };
    // SAFETY: a semaphore is an object.
    let base: &Object = unsafe { native(slf) };
    (own, base)
}

unsafe extern "C" fn semaphore_acquire(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let (own, base) = unsafe { semaphore(slf) };
        if count == 0 && names.is_null() && own.quick_acquire(base) {
            return truth();
        }
        base_call::<Semaphore>(slf, c"acquire", arguments, count, names)
    })
}

unsafe extern "C" fn semaphore_enter(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: as above.
        unsafe { semaphore_acquire(slf, ptr::null(), 0, ptr::null_mut()) }
    })
}

unsafe extern "C" fn semaphore_release(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: as above.
        let (own, base) = unsafe { semaphore(slf) };
        if count == 0 && names.is_null() && own.quick_release(base) {
            return none();
        }
        base_call::<Semaphore>(slf, c"release", arguments, count, names)
    })
}

unsafe extern "C" fn semaphore_exit(slf: Pointer, _: *mut Pointer, _: ffi::Py_ssize_t) -> Pointer {
    guarded(|| {
        // SAFETY: as above.
        unsafe { semaphore_release(slf, ptr::null(), 0, ptr::null_mut()) }
    })
}

fn methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "acquire",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: semaphore_acquire,
            },
            flags: keywords,
        },
        Fast {
            name: "release",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: semaphore_release,
            },
            flags: keywords,
        },
        Fast {
            name: "__enter__",
            method: ffi::PyMethodDefPointer {
                PyCFunction: semaphore_enter,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__exit__",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFast: semaphore_exit,
            },
            flags: ffi::METH_FASTCALL,
        },
    ]
}

/// Gives a subclass of `Semaphore` the methods above.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    install_methods(class, &class.py().get_type::<Semaphore>(), &methods())
}
