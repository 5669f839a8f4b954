//! `d[k]`, `d.get(k)` and `k in d` in tens of nanoseconds: the slots that CPython calls for a key, without PyO3's convention.
//! Each tries the one fast path and leaves everything else to the methods.

use super::{Map, Table, merge};
use crate::codec::{self, Flat};
use crate::hot::{
    Fast, Object, base_call, bound, general, guarded, held, install_items, install_methods,
    install_slots, native,
};
use crate::identity::{text_key, with_key};
use crate::list::index;
use crate::primitive::Primitive;
use courtyard_core::table::{self, Key, Seen};
use courtyard_core::value::Fresh;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};
use std::ffi::{c_int, c_void};

/// Runs `work` on a key; None: what the key raises, the general way raises again.
#[inline(always)]
fn with_plain_key<T>(key: &Bound<'_, PyAny>, work: impl Fn(&Key) -> Option<T>) -> Option<T> {
    match text_key(key) {
        Some(text) => work(&text),
        None => with_key(key, |identity| Ok(work(&identity.key))).ok()?,
    }
}

/// The value of a key that is a word, a short text or short bytes, if nothing stands in the way.
#[inline(always)]
pub(super) fn find(base: &Primitive, key: Object) -> Option<Object> {
    base.handle.held()?;
    let (segment, cell, py) = (&base.handle.space.segment, base.handle.cell, held());
    with_plain_key(&bound(py, key), |key| {
        let found = table::peek(segment, cell, key)?;
        let value = match &found.value {
            &Seen::Word(word) => {
                return found
                    .holds()
                    .then(|| codec::decode_word(py, word).ok())?
                    .map(Bound::into_ptr);
            }
            Seen::Inline(inline) => {
                let length = inline.length as usize;
                let fill = |to: &mut [u8]| segment.copy_out(inline.at, to);
                codec::decode_flat(py, inline.kind, length, fill).ok()?
            }
        };
        value.filter(|_| found.holds()).map(Bound::into_ptr)
    })
}

unsafe extern "C" fn subscript(slf: Object, key: Object) -> Object {
    guarded(|| {
        // SAFETY: the slot is that of a subclass of Map.
        let base: &Primitive = unsafe { native(slf) };
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
            Map::__getitem__(slf.cast()?, &bound(py, key)).map(Bound::unbind)
        })
    })
}

/// Whether there is such a key, if nothing stands in the way.
#[inline(always)]
fn is_known(base: &Primitive, key: Object) -> Option<bool> {
    base.handle.held()?;
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    with_plain_key(&bound(held(), key), |key| {
        table::is_known(segment, cell, key)
    })
}

/// `get(key, default=None)`.
unsafe extern "C" fn get(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let base: &Primitive = unsafe { native(slf) };
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
        base_call::<Map>(slf, c"get", arguments, count, names)
    })
}

unsafe extern "C" fn contains(slf: Object, key: Object) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Primitive = unsafe { native(slf) };
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

/// Stores a value that takes no encoding in place of another, if nothing stands in the way.
#[inline(always)]
fn replace(base: &Primitive, key: Object, value: Object) -> bool {
    let (Some(participant), py) = (base.handle.held(), held()) else {
        return false;
    };
    let (key, value) = (bound(py, key), bound(py, value));
    let Some(flat) = codec::encode_flat(&value) else {
        return false;
    };
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    let store = |value: &Fresh| {
        let stored = with_plain_key(&key, |key| {
            // SAFETY: the GIL is held from before this call until after it.
            Some(unsafe { table::store_alone(segment, participant, cell, key, value) })
        });
        stored.unwrap_or(false)
    };
    match flat {
        Flat::Word(word) => store(&Fresh::Word(word)),
        Flat::Content(kind, bytes) => store(&Fresh::Bytes(kind, &[bytes])),
    }
}

/// Adds an int to one that is a word, if nothing stands in the way; the sum.
#[inline(always)]
fn add(base: &Primitive, key: Object, n: Option<Object>) -> Option<Object> {
    let (participant, py) = (base.handle.held()?, held());
    let step = n.map_or(Some(1), index)?;
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    let sum = with_plain_key(&bound(py, key), |key| {
        let next = |word| codec::add_word(word, step);
        // SAFETY: the GIL is held from before this call until after it.
        unsafe { table::change_alone(segment, participant, cell, key, next) }
    })?;
    // A word of ours, and an int: there is no reason but memory why it should not be made.
    match codec::decode_word(py, sum) {
        Ok(sum) => Some(sum.into_ptr()),
        Err(error) => {
            error.restore(py);
            Some(std::ptr::null_mut())
        }
    }
}

/// `increment(key, n=1, default=0)`.
unsafe extern "C" fn increment(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let base: &Primitive = unsafe { native(slf) };
        if matches!(count, 1..=3) && names.is_null() {
            // SAFETY: the interpreter passes `count` arguments; the third is for missing keys.
            let key = unsafe { *arguments };
            // SAFETY: as above.
            let n = (count > 1).then(|| unsafe { *arguments.wrapping_add(1) });
            if let Some(sum) = add(base, key, n) {
                return sum;
            }
        }
        base_call::<Map>(slf, c"increment", arguments, count, names)
    })
}

unsafe extern "C" fn assign_subscript(slf: Object, key: Object, value: Object) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Primitive = unsafe { native(slf) };
        if !value.is_null() && replace(base, key, value) {
            return 0;
        }
        let done = general(|py| {
            let slf = bound(py, slf);
            let (slf, key) = (slf.cast()?, bound(py, key));
            if value.is_null() {
                Map::__delitem__(slf, &key)?;
            } else {
                Map::__setitem__(slf, &key, &bound(py, value))?;
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

/// Gives a subclass of `Map` the slots and the methods above; its own subclasses inherit them.
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
    install_methods(class, &class.py().get_type::<Map>(), &methods)?;
    install_items(class, subscript, assign_subscript)?;
    // SAFETY: its signature is that of the slot.
    unsafe { install_slots(class, &[("__contains__", contains as *mut c_void)]) }
}
