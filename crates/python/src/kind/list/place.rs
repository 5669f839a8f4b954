//! Which elements a key means.

use super::state::{Deque, Sequence};
use courtyard_core::list::Places;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PySlice;

/// The index that a key is.
///
/// # Errors
/// As a list's and a deque's: `TypeError`; `IndexError` if it is larger than any index can be.
pub fn index_of(slf: &Bound<'_, Sequence>, key: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = key.py();
    // SAFETY: alive, and the GIL is held.
    if unsafe { ffi::PyIndex_Check(key.as_ptr()) } == 0 {
        let name = key.get_type().name()?;
        return Err(PyTypeError::new_err(match slf.is_instance_of::<Deque>() {
            true => format!("sequence index must be integer, not '{name}'"),
            false => format!("list indices must be integers or slices, not {name}"),
        }));
    }
    let error = py.get_type::<PyIndexError>();
    // SAFETY: as above; -1 may come with an exception.
    let index = unsafe { ffi::PyNumber_AsSsize_t(key.as_ptr(), error.as_ptr()) };
    match PyErr::take(py) {
        Some(error) if index == -1 => Err(error),
        _ => Ok(index as i64),
    }
}

/// A slice whose numbers are known: what it means of a list depends only on how long that is.
#[derive(Clone, Copy)]
pub struct Slice {
    pub start: ffi::Py_ssize_t,
    pub stop: ffi::Py_ssize_t,
    pub step: ffi::Py_ssize_t,
}

impl Slice {
    /// # Errors
    /// What its numbers raise.
    pub fn unpack(slice: &Bound<'_, PySlice>) -> PyResult<Slice> {
        let (mut start, mut stop, mut step) = (0, 0, 0);
        // SAFETY: a slice, and places for its three numbers.
        let done = unsafe {
            ffi::PySlice_Unpack(slice.as_ptr(), &raw mut start, &raw mut stop, &raw mut step)
        };
        match done {
            0 => Ok(Slice { start, stop, step }),
            _ => Err(PyErr::fetch(slice.py())),
        }
    }

    /// Which places of a list so long.
    pub fn places(self, count: u64) -> Places {
        let (mut start, mut stop) = (self.start, self.stop);
        let length = count as ffi::Py_ssize_t;
        // SAFETY: two numbers; it calls nothing.
        let count =
            unsafe { ffi::PySlice_AdjustIndices(length, &raw mut start, &raw mut stop, self.step) };
        Places {
            first: start as u64, // -1 only if there are none
            step: self.step as i64,
            count: count as u64,
        }
    }
}

/// The same places, upwards.
pub fn ascending(places: Places) -> Places {
    if places.step > 0 || places.count == 0 {
        return Places {
            step: places.step.max(1),
            ..places
        };
    }
    Places {
        first: places.at(places.count - 1),
        step: -places.step,
        count: places.count,
    }
}
