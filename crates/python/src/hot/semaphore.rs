//! `Semaphore` and `BoundedSemaphore`.

use super::{Fast, Object, base_call, guarded, native, none, truth};
use crate::primitive::Primitive;
use crate::semaphore::Semaphore;
use pyo3::ffi;
use std::ptr;

/// A semaphore and what it has of all primitives.
///
/// # Safety
/// As `native`.
#[inline(always)]
unsafe fn semaphore<'a>(slf: Object) -> (&'a Semaphore, &'a Primitive) {
    // SAFETY: as the caller promised.
    let own: &Semaphore = unsafe { native(slf) };
    // SAFETY: a semaphore is a primitive.
    let base: &Primitive = unsafe { native(slf) };
    (own, base)
}

unsafe extern "C" fn semaphore_acquire(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let (own, base) = unsafe { semaphore(slf) };
        if count == 0 && names.is_null() && own.quick_acquire(base) {
            return truth();
        }
        base_call::<Semaphore>(slf, c"acquire", arguments, count, names)
    })
}

unsafe extern "C" fn semaphore_enter(slf: Object, _: Object) -> Object {
    guarded(|| {
        // SAFETY: as above.
        unsafe { semaphore_acquire(slf, ptr::null(), 0, ptr::null_mut()) }
    })
}

unsafe extern "C" fn semaphore_release(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: as above.
        let (own, base) = unsafe { semaphore(slf) };
        if count == 0 && names.is_null() && own.quick_release(base) {
            return none();
        }
        base_call::<Semaphore>(slf, c"release", arguments, count, names)
    })
}

unsafe extern "C" fn semaphore_exit(slf: Object, _: *mut Object, _: ffi::Py_ssize_t) -> Object {
    guarded(|| {
        // SAFETY: as above.
        unsafe { semaphore_release(slf, ptr::null(), 0, ptr::null_mut()) }
    })
}

pub fn methods() -> [Fast; 4] {
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
