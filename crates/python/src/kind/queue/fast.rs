//! `Queue` and its kin.

use super::front::quick_get_kept;
use super::state::{Queue, first_item};
use super::tail::{put, put_slowly};
use crate::abi::{
    Fast, Pointer, base_call, bound, general, guarded, held, install_methods, native, none,
};
use crate::codec::{self, Buffers, Links};
use crate::deadline::{Deadline, Limit};
use crate::object::Object;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ptr;

/// A queue and what every object has.
///
/// # Safety
/// As `native`.
#[inline(always)]
unsafe fn queue<'a>(slf: Pointer) -> (&'a Queue, &'a Object) {
    // SAFETY: as the caller promised.
    let own: &Queue = unsafe { native(slf) };
    // SAFETY: a queue is an object.
    let base: &Object = unsafe { native(slf) };
    (own, base)
}

/// Puts an item, which is encoded once: that may run its own code.
#[inline(always)]
fn put_item(slf: Pointer, item: Pointer, wait: Option<Deadline>) -> Pointer {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    let item = bound(held(), item);
    if base.handle.held().is_none() {
        return done(|py| put(bound(py, slf).cast()?, &item, wait));
    }
    let encoded = codec::encode(&item, Links::Keep);
    if let Ok(encoded) = &encoded
        && own.quick_put(base, encoded)
    {
        return none();
    }
    done(|py| put_slowly(bound(py, slf).cast()?, &item, encoded, wait))
}

/// Runs the general way of what returns nothing.
#[cold]
fn done(work: impl FnOnce(Python<'_>) -> PyResult<()>) -> Pointer {
    general(|py| work(py).map(|()| py.None()))
}

unsafe extern "C" fn queue_put(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        if count == 1 && names.is_null() {
            // SAFETY: the interpreter passes `count` arguments.
            return put_item(slf, unsafe { *arguments }, Some(Deadline::NEVER));
        }
        base_call::<Queue>(slf, c"put", arguments, count, names)
    })
}

unsafe extern "C" fn queue_put_nowait(slf: Pointer, item: Pointer) -> Pointer {
    guarded(|| put_item(slf, item, None))
}

/// What a fast `get` found, for CPython; None: the general way is due.
#[inline(always)]
fn queue_take(slf: Pointer) -> Option<Pointer> {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    match own.quick_get(held(), base) {
        Some(Some(Ok(item))) => Some(item.into_ptr()),
        Some(Some(Err(error))) => Some(general(|_| Err(error))),
        _ => None,
    }
}

/// As `queue_take`, of an item whose loading may fail.
#[inline(never)]
fn queue_take_kept(slf: Pointer, wait: Option<Deadline>) -> Option<Pointer> {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    if !own.starts_uncertain(base) {
        return None;
    }
    let mut is_taken = true;
    let item = general(|py| {
        let slf = bound(py, slf);
        let slf = slf.cast()?;
        let got = quick_get_kept(slf, Limit::of(wait), Buffers::Own, false);
        is_taken = got.is_some();
        let got = got.map_or_else(|| Ok(py.None()), |got| Ok(got?.item));
        got.map_err(|error| first_item(slf, error))
    });
    if is_taken {
        return Some(item);
    }
    // SAFETY: a reference of our own.
    unsafe { ffi::Py_DECREF(item) };
    None
}

unsafe extern "C" fn queue_get(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        if count == 0
            && names.is_null()
            && let Some(item) =
                queue_take(slf).or_else(|| queue_take_kept(slf, Some(Deadline::NEVER)))
        {
            return item;
        }
        base_call::<Queue>(slf, c"get", arguments, count, names)
    })
}

unsafe extern "C" fn queue_get_nowait(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        let item = queue_take(slf).or_else(|| queue_take_kept(slf, None));
        item.unwrap_or_else(|| {
            base_call::<Queue>(slf, c"get_nowait", ptr::null(), 0, ptr::null_mut())
        })
    })
}

fn methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "put",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: queue_put,
            },
            flags: keywords,
        },
        Fast {
            name: "get",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: queue_get,
            },
            flags: keywords,
        },
        Fast {
            name: "put_nowait",
            method: ffi::PyMethodDefPointer {
                PyCFunction: queue_put_nowait,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "get_nowait",
            method: ffi::PyMethodDefPointer {
                PyCFunction: queue_get_nowait,
            },
            flags: ffi::METH_NOARGS,
        },
    ]
}

/// Gives a subclass of `Queue` the methods above.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    install_methods(class, &class.py().get_type::<Queue>(), &methods())
}
