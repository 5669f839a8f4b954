//! Short keys of dicts, made once: most dicts of a program have the same few.

use super::create;
use super::short::Short;
use pyo3::prelude::*;
use std::cell::UnsafeCell;

const SLOTS: usize = 1024;

/// For each hash the ASCII text that was asked for last.
struct Keys(UnsafeCell<[(Short, Option<Py<PyAny>>); SLOTS]>);

// SAFETY: reached with the GIL held only, and by no code that could let go of it meanwhile.
unsafe impl Sync for Keys {}

static KEYS: Keys = Keys(UnsafeCell::new([const { (Short::EMPTY, None) }; SLOTS]));

/// The text of these bytes. None: they are not ASCII.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn get(py: Python<'_>, bytes: Short) -> PyResult<Option<Bound<'_, PyAny>>> {
    let (keys, at) = (KEYS.0.get(), (bytes.hash() >> 54) as usize);
    // SAFETY: the GIL is held, and nothing below gives it up before the reference ends: neither
    // making a str nor ending one runs Python code.
    let (known, text) = unsafe { &mut (*keys)[at] };
    if let Some(text) = text
        && *known == bytes
    {
        return Ok(Some(text.bind(py).clone()));
    }
    let made = create::short(py, bytes)?;
    (*known, *text) = (bytes, made.clone().map(Bound::unbind));
    Ok(made)
}
