//! `courtyard_core::room` for what Python asks for: where there is no memory, MemoryError. PyO3 itself
//! panics where there is none for a list, a tuple, bytes.

use courtyard_core::error::{Error, Result};
use courtyard_core::room;
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cold]
fn none(error: Error) -> PyErr {
    PyMemoryError::new_err(error.to_string())
}

/// What the engine found room for.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn found<T>(room: Result<T>) -> PyResult<T> {
    room.map_err(none)
}

/// # Errors
/// `MemoryError`.
pub fn bytes(length: usize) -> PyResult<Vec<u8>> {
    found(room::bytes(length))
}

/// # Errors
/// `MemoryError`.
pub fn vector<T>(count: usize) -> PyResult<Vec<T>> {
    found(room::list(count))
}

/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> PyResult<()> {
    found(room::reserve(list, more))
}

/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn push<T>(list: &mut Vec<T>, item: T) -> PyResult<()> {
    found(room::push(list, item))
}

/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn append<T: Copy>(list: &mut Vec<T>, items: &[T]) -> PyResult<()> {
    found(room::append(list, items))
}

/// # Errors
/// `MemoryError`.
pub fn copy<T: Copy>(items: &[T]) -> PyResult<Vec<T>> {
    found(room::copy(items))
}

/// # Errors
/// `MemoryError`.
pub fn concat<T: Copy>(pieces: &[&[T]]) -> PyResult<Vec<T>> {
    found(room::concat(pieces))
}

/// # Errors
/// `MemoryError`.
pub fn collect<T>(items: impl IntoIterator<Item = T>) -> PyResult<Vec<T>> {
    found(room::collect(items))
}

/// What is made of each.
///
/// # Errors
/// Those of `make`; `MemoryError`.
pub fn try_collect<T, U>(
    items: impl ExactSizeIterator<Item = T>,
    mut make: impl FnMut(T) -> PyResult<U>,
) -> PyResult<Vec<U>> {
    let mut all = vector(items.len())?;
    for item in items {
        push(&mut all, make(item)?)?;
    }
    Ok(all)
}

/// Bytes that are kept for what is done where there is no memory: it makes objects, of which PyO3 panics
/// where it can make none. Few enough to come from a heap that is there: small ones then find them.
const KEPT: usize = 48 << 10;
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn spare() -> MutexGuard<'static, Vec<u8>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has memory kept for `scarce`, if there is some.
pub fn keep() {
    let _ = room::reserve(&mut spare(), KEPT);
}

/// Runs `work`, which is due as memory has run out, with that memory free.
#[cold]
pub fn scarce<T>(work: impl FnOnce() -> T) -> T {
    drop(std::mem::take(&mut *spare()));
    let done = work();
    keep();
    done
}

/// A new object that is not shared yet.
fn owned<'py>(py: Python<'py>, object: *mut ffi::PyObject) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: our callers pass a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, object) }
}

/// A plain list of these objects.
///
/// # Errors
/// `MemoryError`.
pub fn list<'py>(py: Python<'py>, items: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: a valid length.
    let list = owned(py, unsafe { ffi::PyList_New(items.len() as isize) })?;
    for (index, item) in items.into_iter().enumerate() {
        // SAFETY: an empty place of a new list, which takes the reference over.
        unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index as isize, item.into_ptr()) };
    }
    Ok(list.cast_into()?)
}

/// A tuple of these objects.
///
/// # Errors
/// `MemoryError`.
pub fn tuple<'py>(py: Python<'py>, items: Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a valid length.
    let tuple = owned(py, unsafe { ffi::PyTuple_New(items.len() as isize) })?;
    for (index, item) in items.into_iter().enumerate() {
        // SAFETY: an empty place of a new tuple, which takes the reference over.
        unsafe { ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as isize, item.into_ptr()) };
    }
    Ok(tuple)
}

/// A tuple of two.
///
/// # Errors
/// `MemoryError`.
#[inline]
pub fn pair<'py>(one: Bound<'py, PyAny>, other: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a valid length.
    let pair = owned(one.py(), unsafe { ffi::PyTuple_New(2) })?;
    for (index, item) in [one, other].into_iter().enumerate() {
        // SAFETY: as above.
        unsafe { ffi::PyTuple_SET_ITEM(pair.as_ptr(), index as isize, item.into_ptr()) };
    }
    Ok(pair)
}

/// The items of a dict, as they are now.
///
/// # Errors
/// `MemoryError`.
pub fn items<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: a dict.
    Ok(owned(dict.py(), unsafe { ffi::PyDict_Items(dict.as_ptr()) })?.cast_into()?)
}

/// Bytes.
///
/// # Errors
/// `MemoryError`.
pub fn python_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let (start, length) = (bytes.as_ptr().cast(), bytes.len() as isize);
    // SAFETY: so many bytes are there.
    let made = unsafe { ffi::PyBytes_FromStringAndSize(start, length) };
    Ok(owned(py, made)?.cast_into()?)
}

/// An empty dict.
///
/// # Errors
/// `MemoryError`.
pub fn dict(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    // SAFETY: the GIL is held.
    Ok(owned(py, unsafe { ffi::PyDict_New() })?.cast_into()?)
}
