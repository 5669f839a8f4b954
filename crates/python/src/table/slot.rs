//! `d[k]` in tens of nanoseconds: the slots that CPython calls for a key, without PyO3's convention.
//! Each tries the one fast path and leaves everything else to the methods.

use super::Table;
use crate::codec;
use crate::guard::thread_writer;
use crate::hot::{Object, bound, general, held, native};
use crate::identity::with_key;
use crate::primitive::Primitive;
use courtyard_core::table;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::c_int;

/// The value of a key that is a word, if nothing stands in the way.
#[inline(always)]
fn word_of(base: &Primitive, key: Object) -> Option<u64> {
    base.handle.held()?;
    let (segment, cell) = (&base.handle.space.segment, base.handle.cell);
    let key = bound(held(), key);
    // What a key raises, the general way raises again.
    with_key(&key, |identity| {
        Ok(table::peek(segment, cell, &identity.key))
    })
    .ok()?
}

unsafe extern "C" fn subscript(slf: Object, key: Object) -> Object {
    // SAFETY: the slot is that of a subclass of Table.
    let base: &Primitive = unsafe { native(slf) };
    if let Some(word) = word_of(base, key)
        && let Ok(value) = codec::decode_word(held(), word)
    {
        return value.into_ptr();
    }
    general(|py| {
        let slf = bound(py, slf);
        Table::__getitem__(slf.cast()?, &bound(py, key)).map(Bound::unbind)
    })
}

/// Stores a word in place of another, if nothing stands in the way.
#[inline(always)]
fn replace(base: &Primitive, key: Object, value: Object) -> bool {
    let (Some(participant), py) = (base.handle.held(), held()) else {
        return false;
    };
    let Some(word) = codec::encode_word(&bound(py, value)) else {
        return false;
    };
    let (segment, table) = (&base.handle.space.segment, thread_writer(base.handle.cell));
    let stored = with_key(&bound(py, key), |identity| {
        let key = &identity.key;
        // SAFETY: the GIL is held from before this call until after it.
        Ok(unsafe { table::store_alone(segment, participant, table, key, word) })
    });
    stored.unwrap_or(false)
}

unsafe extern "C" fn assign_subscript(slf: Object, key: Object, value: Object) -> c_int {
    // SAFETY: as in `subscript`.
    let base: &Primitive = unsafe { native(slf) };
    if !value.is_null() && replace(base, key, value) {
        return 0;
    }
    let done = general(|py| {
        let slf = bound(py, slf);
        let (slf, key) = (slf.cast()?, bound(py, key));
        if value.is_null() {
            Table::__delitem__(slf, &key)?;
        } else {
            Table::__setitem__(slf, &key, &bound(py, value))?;
        }
        Ok(py.None())
    });
    if done.is_null() {
        return -1;
    }
    // SAFETY: a reference of our own.
    unsafe { ffi::Py_DECREF(done) };
    0
}

/// Gives a subclass of `Table` the slots above; its own subclasses inherit them.
pub fn install(class: &Bound<'_, PyType>) {
    // SAFETY: a living class.
    let class = unsafe { &*class.as_type_ptr() };
    // SAFETY: a class made in Python has this table within itself, and the GIL is held.
    let mapping = unsafe { &mut *class.tp_as_mapping };
    mapping.mp_subscript = Some(subscript);
    mapping.mp_ass_subscript = Some(assign_subscript);
}
