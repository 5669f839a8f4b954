//! `List` and `Deque`.

use super::{Fast, Object, base_call, bound, general, guarded, held, native, none};
use crate::codec;
use crate::guard::thread_writer;
use crate::list::{Deque, List, Sequence, index};
use crate::primitive::Primitive;
use courtyard_core::list::{self, End};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ptr;

/// Puts a word at an end, if nothing stands in the way.
#[inline(always)]
fn push(slf: Object, value: Object, end: End) -> bool {
    // SAFETY: the descriptor checked the type of `slf`.
    let base: &Primitive = unsafe { native(slf) };
    let Some(participant) = base.handle.held() else {
        return false;
    };
    let Some(word) = codec::encode_word(&bound(held(), value)) else {
        return false;
    };
    let (segment, list) = (&base.handle.space.segment, thread_writer(base.handle.cell));
    // SAFETY: the GIL is held from before this call until after it.
    unsafe { list::append_alone(segment, participant, list, end, word) }
}

unsafe extern "C" fn append(slf: Object, value: Object) -> Object {
    guarded(|| {
        if push(slf, value, End::Last) {
            return none();
        }
        general(|py| {
            Sequence::append(bound(py, slf).cast()?, &bound(py, value))?;
            Ok(py.None())
        })
    })
}

unsafe extern "C" fn appendleft(slf: Object, value: Object) -> Object {
    guarded(|| {
        if push(slf, value, End::First) {
            return none();
        }
        general(|py| {
            Deque::appendleft(bound(py, slf).cast()?, &bound(py, value))?;
            Ok(py.None())
        })
    })
}

/// The word at an end, taken out, if nothing stands in the way.
#[inline(always)]
fn take(slf: Object, end: End) -> Option<Object> {
    // SAFETY: the descriptor checked the type of `slf`.
    let base: &Primitive = unsafe { native(slf) };
    let participant = base.handle.held()?;
    let (segment, list) = (&base.handle.space.segment, thread_writer(base.handle.cell));
    // SAFETY: the GIL is held from before this call until after it.
    let word = unsafe { list::pop_alone(segment, participant, list, end) }?;
    Some(match codec::decode_word(held(), word) {
        Ok(value) => value.into_ptr(),
        Err(error) => general(|_| Err(error)),
    })
}

unsafe extern "C" fn list_pop(
    slf: Object,
    arguments: *mut Object,
    count: ffi::Py_ssize_t,
) -> Object {
    guarded(|| {
        let place = match count {
            0 => Some(-1),
            // SAFETY: the interpreter passes `count` arguments.
            1 => index(unsafe { *arguments }),
            _ => None,
        };
        let Some(place) = place else {
            return base_call::<List>(slf, c"pop", arguments, count, ptr::null_mut());
        };
        let end = match place {
            0 => Some(End::First),
            -1 => Some(End::Last),
            _ => None,
        };
        end.and_then(|end| take(slf, end)).unwrap_or_else(|| {
            general(|py| List::pop(bound(py, slf).cast()?, place as isize).map(Bound::unbind))
        })
    })
}

unsafe extern "C" fn deque_pop(slf: Object, _: Object) -> Object {
    guarded(|| {
        take(slf, End::Last)
            .unwrap_or_else(|| general(|py| Deque::pop(bound(py, slf).cast()?).map(Bound::unbind)))
    })
}

unsafe extern "C" fn deque_popleft(slf: Object, _: Object) -> Object {
    guarded(|| {
        take(slf, End::First).unwrap_or_else(|| {
            general(|py| Deque::popleft(bound(py, slf).cast()?).map(Bound::unbind))
        })
    })
}

const APPEND: Fast = Fast {
    name: "append",
    method: ffi::PyMethodDefPointer {
        PyCFunction: append,
    },
    flags: ffi::METH_O,
};

pub fn list_methods() -> [Fast; 2] {
    let pop = Fast {
        name: "pop",
        method: ffi::PyMethodDefPointer {
            PyCFunctionFast: list_pop,
        },
        flags: ffi::METH_FASTCALL,
    };
    [APPEND, pop]
}

pub fn deque_methods() -> [Fast; 4] {
    [
        APPEND,
        Fast {
            name: "appendleft",
            method: ffi::PyMethodDefPointer {
                PyCFunction: appendleft,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "pop",
            method: ffi::PyMethodDefPointer {
                PyCFunction: deque_pop,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "popleft",
            method: ffi::PyMethodDefPointer {
                PyCFunction: deque_popleft,
            },
            flags: ffi::METH_NOARGS,
        },
    ]
}
