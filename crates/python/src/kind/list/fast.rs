//! `List` and `Deque`.

use super::slot;
use super::state::{Deque, List, Sequence};
use crate::abi::{
    Fast, Pointer, base_call, bound, general, guarded, held, index, install_methods, native, none,
};
use crate::codec;
use crate::object::Object;
use crate::thread::thread_writer;
use courtyard_core::list::{self, End};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ptr;

/// Puts a word at an end, on the fast path.
#[inline(always)]
fn push(slf: Pointer, value: Pointer, end: End) -> bool {
    // SAFETY: the descriptor checked the type of `slf`.
    let base: &Object = unsafe { native(slf) };
    let Some(participant) = base.handle.held() else {
        return false;
    };
    let Some(word) = codec::encode_word(&bound(held(), value)) else {
        return false;
    };
    let (segment, list) = (
        &base.handle.space.segment,
        thread_writer(base.handle.object),
    );
    // SAFETY: the GIL is held from before this call until after it.
    unsafe { list::append_fast(segment, participant, list, end, word) }
}

unsafe extern "C" fn append(slf: Pointer, value: Pointer) -> Pointer {
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

unsafe extern "C" fn appendleft(slf: Pointer, value: Pointer) -> Pointer {
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

/// The word at an end, taken out, on the fast path.
#[inline(always)]
fn take(slf: Pointer, end: End) -> Option<Pointer> {
    // SAFETY: the descriptor checked the type of `slf`.
    let base: &Object = unsafe { native(slf) };
    let participant = base.handle.held()?;
    let (segment, list) = (
        &base.handle.space.segment,
        thread_writer(base.handle.object),
    );
    // SAFETY: the GIL is held from before this call until after it.
    let word = unsafe { list::pop_fast(segment, participant, list, end) }?;
    Some(match codec::decode_word(held(), word) {
        Ok(value) => value.into_ptr(),
        Err(error) => general(|_| Err(error)),
    })
}

unsafe extern "C" fn list_pop(
    slf: Pointer,
    arguments: *mut Pointer,
    count: ffi::Py_ssize_t,
) -> Pointer {
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

unsafe extern "C" fn deque_pop(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        take(slf, End::Last)
            .unwrap_or_else(|| general(|py| Deque::pop(bound(py, slf).cast()?).map(Bound::unbind)))
    })
}

unsafe extern "C" fn deque_popleft(slf: Pointer, _: Pointer) -> Pointer {
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

fn list_methods() -> [Fast; 2] {
    let pop = Fast {
        name: "pop",
        method: ffi::PyMethodDefPointer {
            PyCFunctionFast: list_pop,
        },
        flags: ffi::METH_FASTCALL,
    };
    [APPEND, pop]
}

fn deque_methods() -> [Fast; 4] {
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

/// Gives a subclass of `List` or `Deque` its fast methods.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    slot::install(class)?;
    match class.is_subclass_of::<List>()? {
        true => install_methods(class, &py.get_type::<List>(), &list_methods()),
        false => install_methods(class, &py.get_type::<Deque>(), &deque_methods()),
    }
}
