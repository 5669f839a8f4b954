//! `Value` and `RawValue` of the formats met most.

use super::{Fast, Object, base_call, bound, forever, general, guarded, native, none};
use crate::cell::Cell;
use crate::format::{self, Format};
use courtyard_core::cell::{DATA, change_alone};
use courtyard_core::participant::Participant;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::{c_int, c_void};
use std::ptr;

/// A scalar's bits as a new reference, for the formats met most; None for the others.
#[inline(always)]
pub fn decode(format: Format, bits: u64) -> Option<Object> {
    let number = match format {
        Format::Integer {
            width: 4,
            signed: true,
        } => i64::from(bits as i32),
        Format::Integer {
            width: 8,
            signed: true,
        }
        | Format::Exact => bits as i64,
        Format::Float { width: 8 } => {
            // SAFETY: the GIL is held; a new reference, or null with MemoryError.
            return Some(unsafe { ffi::PyFloat_FromDouble(f64::from_bits(bits)) });
        }
        _ => return None,
    };
    // SAFETY: as above.
    Some(unsafe { ffi::PyLong_FromLongLong(number) })
}

/// A Python object's bits, for exact ints and floats that convert at once; None for the others.
#[inline(always)]
pub fn encode(format: Format, value: Object) -> Option<u64> {
    match format {
        Format::Integer { .. } | Format::Exact => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyLong_CheckExact(value) } == 0 {
                return None;
            }
            let mut overflow: c_int = 0;
            // SAFETY: an exact int never raises here.
            let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
            (overflow == 0).then_some(number as u64)
        }
        Format::Float { width: 8 } => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyFloat_CheckExact(value) } == 0 {
                return None;
            }
            // SAFETY: an exact float.
            Some(unsafe { ffi::PyFloat_AS_DOUBLE(value) }.to_bits())
        }
        _ => None,
    }
}

impl Cell {
    /// Changes the scalar if nothing stands in the way.
    #[inline(always)]
    fn quick<T>(&self, change: impl FnOnce(u64) -> T) -> Option<T> {
        let participant: &Participant = self.handle.held()?;
        let segment = &self.handle.space.segment;
        let (cell, guarded) = (self.handle.cell, self.guarded);
        // SAFETY: the GIL is held from before this call until after it.
        unsafe { change_alone(segment, participant, cell, guarded, || change(cell + DATA)) }
    }
}

unsafe extern "C" fn cell_get(slf: Object, _: Object) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let cell: &Cell = unsafe { native(slf) };
        let width = cell.format.width();
        if width >= 4 && cell.handle.held().is_some() {
            let bits = format::load(&cell.handle.space.segment, cell.handle.cell + DATA, width);
            if let Some(object) = decode(cell.format, bits) {
                return object;
            }
        }
        general(|py| cell.get(py))
    })
}

unsafe extern "C" fn cell_get_value(slf: Object, _: *mut c_void) -> Object {
    guarded(|| {
        // SAFETY: as a method without arguments.
        unsafe { cell_get(slf, ptr::null_mut()) }
    })
}

#[inline(always)]
fn set(cell: &Cell, value: Object) -> bool {
    let Some(bits) = encode(cell.format, value) else {
        return false;
    };
    let segment = &cell.handle.space.segment;
    cell.quick(|at| format::store(segment, at, cell.format.width(), bits))
        .is_some()
}

unsafe extern "C" fn cell_set(slf: Object, value: Object) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let cell: &Cell = unsafe { native(slf) };
        if set(cell, value) {
            return none();
        }
        general(|py| cell.set(&bound(py, value)).map(|()| py.None()))
    })
}

unsafe extern "C" fn cell_set_value(slf: Object, value: Object, _: *mut c_void) -> c_int {
    guarded(|| {
        if value.is_null() {
            let refuse = || pyo3::exceptions::PyAttributeError::new_err("value cannot be deleted");
            general(|_| Err(refuse()));
            return -1;
        }
        // SAFETY: the descriptor checked the type of `slf`.
        let cell: &Cell = unsafe { native(slf) };
        if set(cell, value) {
            return 0;
        }
        let done = general(|py| cell.set(&bound(py, value)).map(|()| py.None()));
        if done.is_null() {
            return -1;
        }
        // SAFETY: a reference of our own.
        unsafe { ffi::Py_DECREF(done) };
        0
    })
}

/// `increment(n=1)` with at most one positional argument; keywords go the general way.
unsafe extern "C" fn cell_increment(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let cell: &Cell = unsafe { native(slf) };
        let format = cell.format;
        let argument = if count == 1 {
            // SAFETY: the interpreter passes `count` arguments.
            unsafe { *arguments }
        } else {
            ptr::null_mut()
        };
        if names.is_null() && count <= 1 && matches!(format, Format::Integer { width: 4.., .. }) {
            let step = if count == 0 {
                Some(1)
            } else {
                encode(format, argument)
            };
            let segment = &cell.handle.space.segment;
            let added = step.and_then(|step| {
                let old = cell.quick(|at| format::fetch_add(segment, at, format.width(), step))?;
                Some(old.wrapping_add(step))
            });
            match added.map(|bits| decode(format, bits).ok_or(bits)) {
                Some(Ok(object)) => return object,
                Some(Err(bits)) => return general(|py| format.decode(py, bits)),
                None => {}
            }
        }
        base_call::<Cell>(slf, c"increment", arguments, count, names)
    })
}

pub fn methods() -> [Fast; 3] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "get",
            method: ffi::PyMethodDefPointer {
                PyCFunction: cell_get,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "set",
            method: ffi::PyMethodDefPointer {
                PyCFunction: cell_set,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "increment",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: cell_increment,
            },
            flags: keywords,
        },
    ]
}

/// Gives the class the attribute `value`.
pub fn install_value(class: &Bound<'_, PyType>, base: &Bound<'_, PyType>) -> PyResult<()> {
    let text: Option<String> = base.getattr("value")?.getattr("__doc__")?.extract()?;
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: forever("value".into()),
        get: Some(cell_get_value),
        set: Some(cell_set_value),
        doc: forever(text.unwrap_or_default()),
        closure: ptr::null_mut(),
    }));
    // SAFETY: the class is alive and the definition lives for ever.
    let made = unsafe { ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition) };
    // SAFETY: a new reference, or null with an exception set.
    let descriptor = unsafe { Bound::from_owned_ptr_or_err(class.py(), made) }?;
    class.setattr("value", descriptor)
}
