//! `dict(d)`, `{**d}` and `plain.update(d)` are of one moment. For what is no dict, CPython's `dict` asks for
//! `keys()`, goes over them, and then asks for the value of each; all that inside one instruction of the
//! caller's. So where `keys()` was called and is gone over at the same instruction, the items of that moment
//! are kept here, and the values that are asked for next, there and in that order, are theirs.

use super::Table;
use crate::hot::{Object, bound, general};
use crate::primitive::Primitive;
use courtyard_core::space::Space;
use courtyard_core::sync::{AtomicU32, Ordering};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::RefCell;
use std::ffi::c_int;

/// Items that somebody copies just now.
struct Merge {
    table: (*const Space, u64),
    /// Where: the frame, as its address, and the instruction in it.
    place: (usize, i64),
    items: Vec<(Py<PyAny>, Py<PyAny>)>,
    next: usize,
}

thread_local! {
    static MERGE: RefCell<Option<Merge>> = const { RefCell::new(None) };
}

/// In how many threads there is one.
static MERGES: AtomicU32 = AtomicU32::new(0);

impl Drop for Merge {
    fn drop(&mut self) {
        MERGES.fetch_add(u32::MAX, Ordering::Relaxed);
    }
}

fn table_of(base: &Primitive) -> (*const Space, u64) {
    (std::ptr::from_ref(base.handle.space), base.handle.cell)
}

/// Keeps the items of a table for who copies them at this place.
#[pyfunction]
pub fn begin_merge(
    table: &Bound<'_, Table>,
    place: (usize, i64),
    items: &Bound<'_, PyList>,
) -> PyResult<()> {
    let items: Vec<_> = items.extract()?;
    if items.is_empty() {
        return Ok(());
    }
    let merge = Merge {
        table: table_of(table.as_super().get()),
        place,
        items,
        next: 0,
    };
    MERGES.fetch_add(1, Ordering::Relaxed);
    drop(MERGE.replace(Some(merge)));
    Ok(())
}

/// Whether anybody copies a table just now.
#[inline(always)]
pub fn is_any() -> bool {
    MERGES.load(Ordering::Relaxed) != 0
}

/// The value of a key that is asked for by who copies a table, from the moment of which its keys are.
#[cold]
#[inline(never)]
pub fn value(slf: Object, base: &Primitive, key: Object) -> Option<Object> {
    let mut is_found = true;
    let value = general(|py| {
        let found = find(base, &bound(py, key))?;
        is_found = found.is_some();
        Ok(found.unwrap_or_else(|| bound(py, slf).unbind()))
    });
    if is_found {
        return Some(value);
    }
    // SAFETY: a reference of our own.
    unsafe { ffi::Py_DECREF(value) };
    None
}

fn find(base: &Primitive, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let py = key.py();
    let Some(mut merge) = MERGE.take() else {
        return Ok(None); // another thread's
    };
    if merge.table != table_of(base) || Some(merge.place) != place(py) {
        return Ok(None);
    }
    let rest = merge.items[merge.next..].iter();
    let Some(index) = rest.map(|(each, _)| each).position(|each| each.is(key)) else {
        return Ok(None);
    };
    merge.next += index + 1;
    let value = merge.items[merge.next - 1].1.clone_ref(py);
    if merge.next < merge.items.len() {
        drop(MERGE.replace(Some(merge)));
    }
    Ok(Some(value))
}

unsafe extern "C" {
    /// Of CPython's `cpython/pyframe.h`, and not in pyo3-ffi.
    fn PyFrame_GetLasti(frame: *mut ffi::PyFrameObject) -> c_int;
}

/// Which instruction runs, of which frame; as `id(sys._getframe())` and `f_lasti` say.
fn place(_py: Python<'_>) -> Option<(usize, i64)> {
    // SAFETY: the GIL is held; the frame is borrowed from whoever runs.
    let frame = unsafe { ffi::PyEval_GetFrame() };
    if frame.is_null() {
        return None;
    }
    // SAFETY: the frame that runs.
    let at = unsafe { PyFrame_GetLasti(frame) };
    Some((frame as usize, i64::from(at)))
}
