//! `Value` and `RawValue` of the formats met most.

use super::state::RawValue;
use crate::abi::{
    Fast, Pointer, base_call, bound, forever, general, guarded, install_methods, none,
};
use crate::format::{self, Format, quick_decode, quick_encode};
use crate::object::This;
use courtyard_core::object::{DATA, change_fast};
use courtyard_core::participant::Participant;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::{c_int, c_void};
use std::ptr;

impl This<'_, RawValue> {
    /// Changes the scalar, on the fast path.
    #[inline(always)]
    fn quick<T>(self, change: impl FnOnce(u64) -> T) -> Option<T> {
        let participant: &Participant = self.handle.held()?;
        let segment = &self.handle.space.segment;
        let (object, guarded) = (self.handle.object, self.guarded);
        // SAFETY: the GIL is held from before this call until after it.
        unsafe {
            change_fast(segment, participant, object, guarded, || {
                change(object + DATA)
            })
        }
    }
}

unsafe extern "C" fn value_get(slf: Pointer, _: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let this: This<RawValue> = unsafe { This::native(slf) };
        let width = this.format.width();
        if width >= 4 && this.handle.held().is_some() {
            let bits = format::load(&this.handle.space.segment, this.handle.object + DATA, width);
            if let Some(object) = quick_decode(this.format, bits) {
                return object;
            }
        }
        general(|py| this.get(py))
    })
}

unsafe extern "C" fn value_get_value(slf: Pointer, _: *mut c_void) -> Pointer {
    guarded(|| {
        // SAFETY: as a method without arguments.
        unsafe { value_get(slf, ptr::null_mut()) }
    })
}

#[inline(always)]
fn set(this: This<RawValue>, value: Pointer) -> bool {
    let Some(bits) = quick_encode(this.format, value) else {
        return false;
    };
    let segment = &this.handle.space.segment;
    this.quick(|at| format::store(segment, at, this.format.width(), bits))
        .is_some()
}

unsafe extern "C" fn value_set(slf: Pointer, value: Pointer) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let this: This<RawValue> = unsafe { This::native(slf) };
        if set(this, value) {
            return none();
        }
        general(|py| this.set(&bound(py, value)).map(|()| py.None()))
    })
}

unsafe extern "C" fn value_set_value(slf: Pointer, value: Pointer, _: *mut c_void) -> c_int {
    guarded(|| {
        if value.is_null() {
            let refuse = || pyo3::exceptions::PyAttributeError::new_err("value cannot be deleted");
            general(|_| Err(refuse()));
            return -1;
        }
        // SAFETY: the descriptor checked the type of `slf`.
        let this: This<RawValue> = unsafe { This::native(slf) };
        if set(this, value) {
            return 0;
        }
        let done = general(|py| this.set(&bound(py, value)).map(|()| py.None()));
        if done.is_null() {
            return -1;
        }
        // SAFETY: a reference of our own.
        unsafe { ffi::Py_DECREF(done) };
        0
    })
}

/// `increment(n=1)` with at most one positional argument; keywords go the general way.
unsafe extern "C" fn value_increment(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    guarded(|| {
        // SAFETY: the descriptor checked the type of `slf`.
        let this: This<RawValue> = unsafe { This::native(slf) };
        let format = this.format;
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
                quick_encode(format, argument)
            };
            let segment = &this.handle.space.segment;
            let added = step.and_then(|step| {
                let old = this.quick(|at| format::fetch_add(segment, at, format.width(), step))?;
                Some(old.wrapping_add(step))
            });
            match added.map(|bits| quick_decode(format, bits).ok_or(bits)) {
                Some(Ok(object)) => return object,
                Some(Err(bits)) => return general(|py| format.decode(py, bits)),
                None => {}
            }
        }
        base_call::<RawValue>(slf, c"increment", arguments, count, names)
    })
}

fn methods() -> [Fast; 3] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "get",
            method: ffi::PyMethodDefPointer {
                PyCFunction: value_get,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "set",
            method: ffi::PyMethodDefPointer {
                PyCFunction: value_set,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "increment",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: value_increment,
            },
            flags: keywords,
        },
    ]
}

/// Gives a subclass of `RawValue` the methods above, and the attribute `value`.
///
/// # Errors
/// `MemoryError`.
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let base = class.py().get_type::<RawValue>();
    install_methods(class, &base, &methods())?;
    let text: Option<String> = base.getattr("value")?.getattr("__doc__")?.extract()?;
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: forever("value".into()),
        get: Some(value_get_value),
        set: Some(value_set_value),
        doc: forever(text.unwrap_or_default()),
        closure: ptr::null_mut(),
    }));
    // SAFETY: the class is alive and the definition lives for ever.
    let made = unsafe { ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition) };
    // SAFETY: a new reference, or null with an exception set.
    let descriptor = unsafe { Bound::from_owned_ptr_or_err(class.py(), made) }?;
    class.setattr("value", descriptor)
}
