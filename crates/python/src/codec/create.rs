//! Texts and bytes, filled where they stay.

use super::short::Short;
use super::tag;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_long;

/// The memory of an object that nobody else has seen yet.
#[inline(always)]
fn filled<'py>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
    start: impl FnOnce(*mut ffi::PyObject) -> *mut u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a new reference, or null with an exception.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?;
    if length > 0 {
        let start = start(object.as_ptr());
        // SAFETY: the object was made with room for so many bytes. They may be anything so far;
        // `fill` writes all of them and reads none.
        fill(unsafe { std::slice::from_raw_parts_mut(start, length) });
    }
    Ok(object)
}

/// # Errors
/// `MemoryError`.
#[inline]
pub fn bytes<'py>(
    py: Python<'py>,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: no content: room for it.
    let object =
        unsafe { ffi::PyBytes_FromStringAndSize(std::ptr::null(), length as ffi::Py_ssize_t) };
    // SAFETY: exact bytes.
    let start = |object| unsafe { ffi::PyBytes_AS_STRING(object) }.cast_mut().cast();
    filled(py, object, start, length, fill)
}

/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn integer(py: Python<'_>, number: i64) -> PyResult<Bound<'_, PyAny>> {
    let number = match c_long::try_from(number) {
        // SAFETY: the GIL is held.
        Ok(number) => unsafe { ffi::PyLong_FromLong(number) }, // the quicker of the two
        // SAFETY: as above.
        Err(_) => unsafe { ffi::PyLong_FromLongLong(number) },
    };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, number) }
}

/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn float(py: Python<'_>, number: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the GIL is held.
    let number = unsafe { ffi::PyFloat_FromDouble(number) };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, number) }
}

/// # Errors
/// `MemoryError`.
pub fn complex(py: Python<'_>, real: f64, imaginary: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the GIL is held.
    let number = unsafe { ffi::PyComplex_FromDoubles(real, imaginary) };
    // SAFETY: as above.
    unsafe { Bound::from_owned_ptr_or_err(py, number) }
}

/// # Errors
/// `MemoryError`.
pub fn bytearray<'py>(
    py: Python<'py>,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Bound<'py, PyAny>> {
    // Empty at first: where there is no memory for its bytes, CPython ends one that it has not yet said
    // has no buffer in use, and reports that.
    // SAFETY: no content.
    let empty = unsafe { ffi::PyByteArray_FromStringAndSize(std::ptr::null(), 0) };
    // SAFETY: a new reference, or null with an exception.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, empty) }?.into_ptr();
    // SAFETY: an exact bytearray that nobody else has.
    if unsafe { ffi::PyByteArray_Resize(object, length as ffi::Py_ssize_t) } != 0 {
        // SAFETY: our own reference.
        drop(unsafe { Bound::from_owned_ptr(py, object) });
        return Err(PyErr::fetch(py));
    }
    // SAFETY: an exact bytearray.
    let start = |object| unsafe { ffi::PyByteArray_AS_STRING(object) }.cast();
    filled(py, object, start, length, fill)
}

/// Whether these units need the width that their tag says, and are characters: Python relies on it.
#[inline(always)]
fn are_of(tag: u8, units: &[u8]) -> bool {
    match tag {
        tag::ASCII => units.is_ascii(),
        tag::LATIN => !units.is_ascii(),
        tag::WIDE_2 => {
            let units = units.as_chunks::<2>().0.iter();
            units.fold(0, |top, unit| top | u16::from_ne_bytes(*unit)) > 0xFF
        }
        _ => {
            let units = units.as_chunks::<4>().0.iter();
            let top = units.fold(0, |top, unit| u32::from_ne_bytes(*unit).max(top));
            (0x1_0000..=0x10_FFFF).contains(&top)
        }
    }
}

/// A text of units of one kind, in so many bytes. None: they are no text of that kind.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn text<'py>(
    py: Python<'py>,
    tag: u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (width, top) = match tag {
        tag::ASCII => (1, 0x7F),
        tag::LATIN => (1, 0xFF),
        tag::WIDE_2 => (2, 0xFFFF),
        _ => (4, 0x10_FFFF),
    };
    if !length.is_multiple_of(width) {
        return Ok(None);
    }
    if length == 1 {
        return character(py, tag, fill);
    }
    // SAFETY: a valid size and largest character.
    let object = unsafe { ffi::PyUnicode_New((length / width) as ffi::Py_ssize_t, top) };
    // SAFETY: an exact, ready str.
    let start = |object| unsafe { ffi::PyUnicode_DATA(object) }.cast();
    let mut is_text = length == 0 && tag == tag::ASCII;
    let text = filled(py, object, start, length, |units| {
        fill(units);
        is_text = are_of(tag, units);
    })?;
    Ok(is_text.then_some(text))
}

/// A text of few bytes. None: they are not ASCII.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn short(py: Python<'_>, bytes: Short) -> PyResult<Option<Bound<'_, PyAny>>> {
    let length = bytes.length();
    if !bytes.is_ascii() {
        return Ok(None);
    }
    if length == 1 {
        return character(py, tag::ASCII, |to| bytes.write(to));
    }
    // SAFETY: a valid size and largest character.
    let object = unsafe { ffi::PyUnicode_New(length as ffi::Py_ssize_t, 0x7F) };
    // In ASCII texts, which are made in one piece, the units follow the head.
    let start = |object: *mut ffi::PyObject| object.cast::<ffi::PyASCIIObject>().wrapping_add(1);
    let start = |object| start(object).cast();
    filled(py, object, start, length, |to| bytes.write(to)).map(Some)
}

/// The one text that there is of each short character.
fn character<'py>(
    py: Python<'py>,
    tag: u8,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut unit = [0];
    fill(&mut unit);
    if !are_of(tag, &unit) {
        return Ok(None);
    }
    // SAFETY: a valid character.
    let text = unsafe { ffi::PyUnicode_FromOrdinal(i32::from(unit[0])) };
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, text) }.map(Some)
}
