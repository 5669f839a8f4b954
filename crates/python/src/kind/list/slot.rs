//! `x[i]` and `len(x)` in tens of nanoseconds: the slots that CPython calls, without PyO3's convention.
//! Each tries the one fast path and leaves everything else to the methods.

use super::state::{List, Sequence};
use crate::abi::{
    Pointer, bound, general, guarded, held, index, install_items, install_slots, native,
};
use crate::codec;
use crate::object::Object;
use crate::thread::thread_writer;
use courtyard_core::list;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::{c_int, c_void};

unsafe extern "C" fn subscript(slf: Pointer, key: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the slot is that of a subclass of Sequence.
        let base: &Object = unsafe { native(slf) };
        if base.handle.held().is_some()
            && let Some(index) = index(key)
            && let Some(word) = list::peek(&base.handle.space.segment, base.handle.object, index)
            && let Ok(value) = codec::decode_word(held(), word)
        {
            return value.into_ptr();
        }
        general(|py| {
            let (slf, key) = (bound(py, slf), bound(py, key));
            match slf.cast::<List>() {
                Ok(list) => List::__getitem__(list, &key),
                Err(_) => Sequence::__getitem__(slf.cast()?, &key),
            }
            .map(Bound::unbind)
        })
    })
}

/// Stores a word in place of another, on the fast path.
#[inline(always)]
fn replace(base: &Object, key: Pointer, value: Pointer) -> bool {
    let (Some(participant), Some(index)) = (base.handle.held(), index(key)) else {
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
    unsafe { list::set_fast(segment, participant, list, index, word) }
}

unsafe extern "C" fn assign_subscript(slf: Pointer, key: Pointer, value: Pointer) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Object = unsafe { native(slf) };
        if !value.is_null() && replace(base, key, value) {
            return 0;
        }
        let done = general(|py| {
            let (slf, key) = (bound(py, slf), bound(py, key));
            match (slf.cast::<List>(), value.is_null()) {
                (Ok(list), true) => List::__delitem__(list, &key)?,
                (Ok(list), false) => List::__setitem__(list, &key, &bound(py, value))?,
                (Err(_), true) => Sequence::__delitem__(slf.cast()?, &key)?,
                (Err(_), false) => Sequence::__setitem__(slf.cast()?, &key, &bound(py, value))?,
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

unsafe extern "C" fn length(slf: Pointer) -> ffi::Py_ssize_t {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let base: &Object = unsafe { native(slf) };
        // A number that is none of a list's the general way refuses.
        if base.handle.held().is_some()
            && let count = list::count(&base.handle.space.segment, base.handle.object)
            && let Ok(count) = ffi::Py_ssize_t::try_from(count)
        {
            return count;
        }
        let mut count: ffi::Py_ssize_t = -1;
        let done = general(|py| {
            count = Sequence::__len__(bound(py, slf).cast()?)?.try_into()?;
            Ok(py.None())
        });
        if done.is_null() {
            return -1;
        }
        // SAFETY: a reference of our own.
        unsafe { ffi::Py_DECREF(done) };
        count
    })
}

/// Gives a subclass of `Sequence` the slots above; its own subclasses inherit them.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    install_items(class, subscript, assign_subscript)?;
    // SAFETY: its signature is that of the slot.
    unsafe { install_slots(class, &[("__len__", length as *mut c_void)]) }
}
