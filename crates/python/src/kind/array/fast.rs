//! `a[i]` in tens of nanoseconds: the slots that CPython calls for an index, without PyO3's
//! convention. Each tries the one fast path and leaves everything else to `item`.

use super::item;
use super::state::Elements;
use crate::abi::{Pointer, bound, general, guarded, held, install_items};
use crate::format::{self, Format, fits, quick_decode, quick_encode};
use courtyard_core::object::{change_fast, touch};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::c_int;
use std::ptr;

/// The place of an element, counted from the end if negative; None if it has none.
#[inline(always)]
fn place(this: Elements<'_>, index: i64) -> Option<u64> {
    let index = if index < 0 {
        index.wrapping_add_unsigned(this.count)
    } else {
        index
    } as u64;
    (index < this.count).then(|| this.start + index * u64::from(this.width))
}

/// An exact int as an index of an array whose elements are words in one dimension.
#[inline(always)]
fn indexed(this: Elements<'_>, key: Pointer) -> Option<u64> {
    // SAFETY: an argument of the running call: alive, and the GIL is held.
    if !this.linear || unsafe { ffi::PyLong_CheckExact(key) } == 0 {
        return None;
    }
    let mut overflow: c_int = 0;
    // SAFETY: an exact int never raises here.
    let index = unsafe { ffi::PyLong_AsLongLongAndOverflow(key, &raw mut overflow) };
    if overflow == 0 {
        place(this, index)
    } else {
        None
    }
}

#[inline(always)]
fn load(this: Elements<'_>, at: u64) -> Option<Pointer> {
    this.handle.held()?;
    let bits = format::load(&this.handle.space.segment, at, this.width);
    if let Some(object) = quick_decode(this.format, bits) {
        return Some(object);
    }
    let decoded = this.format.decode(held(), bits);
    Some(decoded.map_or_else(
        |error| {
            error.restore(held());
            ptr::null_mut()
        },
        Py::into_ptr,
    ))
}

/// As `quick_encode`, and C's float from an exact one.
#[inline(always)]
fn encode(format: Format, value: Pointer) -> Option<u64> {
    if format == (Format::Float { width: 4 }) {
        let double = quick_encode(Format::Float { width: 8 }, value)?;
        return Some(u64::from((f64::from_bits(double) as f32).to_bits()));
    }
    quick_encode(format, value)
}

#[inline(always)]
fn store(this: Elements<'_>, at: u64, value: Pointer) -> bool {
    let Some(bits) = encode(this.format, value) else {
        return false;
    };
    if this.numpy && !fits(this.format, bits as i64) {
        return false;
    }
    let Some(participant) = this.handle.held() else {
        return false;
    };
    let segment = &this.handle.space.segment;
    let (object, guarded, width) = (this.handle.object, this.guarded, this.width);
    let change = || {
        format::store(segment, at, width, bits);
        if guarded {
            touch(segment, object);
        }
    };
    // SAFETY: the GIL is held from before this call until after it.
    unsafe { change_fast(segment, participant, object, guarded, change) }.is_some()
}

unsafe extern "C" fn subscript(slf: Pointer, key: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the slot is that of a subclass of RawArray.
        let this: Elements<'_> = unsafe { Elements::native(slf) };
        if let Some(object) = indexed(this, key).and_then(|at| load(this, at)) {
            return object;
        }
        general(|py| {
            let slf = bound(py, slf);
            item::get(slf.cast()?, &bound(py, key)).map(Bound::unbind)
        })
    })
}

/// As `subscript`, by a number that is not counted from the end: iteration.
unsafe extern "C" fn sequence_item(slf: Pointer, index: ffi::Py_ssize_t) -> Pointer {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let this: Elements<'_> = unsafe { Elements::native(slf) };
        if this.linear
            && index >= 0
            && let Some(object) = place(this, index as i64).and_then(|at| load(this, at))
        {
            return object;
        }
        general(|py| {
            let slf = bound(py, slf);
            let length = slf.len()? as isize;
            // A negative one had the length added already, and is out of range.
            let key = if index < 0 { length } else { index };
            item::get(slf.cast()?, key.into_pyobject(py)?.as_any()).map(Bound::unbind)
        })
    })
}

unsafe extern "C" fn assign_subscript(slf: Pointer, key: Pointer, value: Pointer) -> c_int {
    guarded(|| {
        // SAFETY: as in `subscript`.
        let this: Elements<'_> = unsafe { Elements::native(slf) };
        if !value.is_null() && indexed(this, key).is_some_and(|at| store(this, at, value)) {
            return 0;
        }
        let done = general(|py| {
            if value.is_null() {
                return Err(item::no_deletion());
            }
            let slf = bound(py, slf);
            item::set(slf.cast()?, &bound(py, key), &bound(py, value))?;
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

/// Gives a subclass of `RawArray` the slots above; its own subclasses inherit them, but for that of
/// iteration: theirs is PyO3's, which does the same a little later.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    install_items(class, subscript, assign_subscript)?;
    // SAFETY: a living class.
    let class = unsafe { &*class.as_type_ptr() };
    // SAFETY: a class made in Python has this table within itself, and the GIL is held.
    let sequence = unsafe { &mut *class.tp_as_sequence };
    sequence.sq_item = Some(sequence_item);
    Ok(())
}
