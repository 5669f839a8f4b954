//! `dict(d)`, `{**d}` and `plain.update(d)` are of one moment. For what is no dict, CPython's `dict` asks for
//! `keys()`, goes over them, and then asks for the value of each; all that inside one instruction of the
//! caller's. So where `keys()` was called and is gone over at the same instruction, the items of that moment
//! are kept here, and the values that are asked for next, there and in that order, are theirs.

use super::state::{Table, opened};
use crate::abi::{Pointer, bound, general};
use crate::object::Object;
use crate::room;
use crate::value::reference::again;
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
    keys: Vec<Py<PyAny>>,
    values: Vec<Py<PyAny>>,
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

fn table_of(base: &Object) -> (*const Space, u64) {
    (std::ptr::from_ref(base.handle.space), base.handle.object.0)
}

/// Keeps the items of a table for who copies them at this place; their keys.
#[pyfunction]
pub fn begin_merge<'py>(
    table: &Bound<'py, Table>,
    place: (usize, i64),
) -> PyResult<Bound<'py, PyList>> {
    let py = table.py();
    let (keys, values) = opened(table, |this| again(py, || this.columns(py)))?;
    let list = room::list(
        py,
        room::collect(keys.iter().map(|key| key.bind(py).clone()))?,
    )?;
    if keys.is_empty() {
        return Ok(list);
    }
    let merge = Merge {
        table: table_of(table.as_super().get()),
        place,
        keys,
        values,
        next: 0,
    };
    MERGES.fetch_add(1, Ordering::Relaxed);
    drop(MERGE.replace(Some(merge)));
    Ok(list)
}

/// Whether anybody copies a table just now.
#[inline(always)]
pub fn is_any() -> bool {
    MERGES.load(Ordering::Relaxed) != 0
}

/// The value of a key that is asked for by who copies a table, from the moment of which its keys are.
#[cold]
#[inline(never)]
pub fn value(slf: Pointer, base: &Object, key: Pointer) -> Option<Pointer> {
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

fn find(base: &Object, key: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let py = key.py();
    let here = place(py);
    // What is over is dropped when nobody has it borrowed: that may run code.
    let mut over = None;
    let found = MERGE.with_borrow_mut(|slot| {
        let merge = slot.as_mut()?; // else another thread's
        let is_this = merge.table == table_of(base) && Some(merge.place) == here;
        let rest = &merge.keys[merge.next..];
        let found = rest.iter().position(|each| each.is(key));
        let Some(index) = found.filter(|_| is_this) else {
            over = slot.take();
            return None;
        };
        merge.next += index + 1;
        let value = merge.values[merge.next - 1].clone_ref(py);
        if merge.next == merge.keys.len() {
            over = slot.take();
        }
        Some(value)
    });
    drop(over);
    Ok(found)
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
