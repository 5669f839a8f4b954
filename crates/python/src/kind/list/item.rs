//! One element by its index.

use super::place::index_of;
use super::state::{Sequence, length, opened};
use crate::codec::{self, Links};
use crate::object::{Place, Spot};
use crate::value::stored::with_new;
use courtyard_core::list;
use courtyard_core::sync::{AtomicU64, Ordering};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

pub fn get_item<'py>(
    slf: &Bound<'py, Sequence>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let index = index_of(slf, key)?;
    opened(slf, |this| {
        let found = this.get(slf.py(), index)?.0;
        found.ok_or_else(|| this.out_of_range("index"))
    })
}

pub fn set_item(
    slf: &Bound<'_, Sequence>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let index = index_of(slf, key)?;
    let _open = slf.as_super().get().handle.open(slf.py())?;
    let encoded = codec::encode(value, Links::Keep)?;
    opened(slf, |this| {
        let list = this.list;
        let set = with_new(slf.py(), this.open, encoded, |caller, value| {
            list::set(caller, list, index, &value)
        })?;
        match set {
            true => Ok(()),
            false => Err(this.out_of_range("assignment index")),
        }
    })
}

/// A value with an index, being edited.
pub struct AtIndex {
    list: Py<Sequence>,
    index: Py<PyAny>,
    /// Which element that was, from the front, and how many there were.
    found: AtomicU64,
    count: AtomicU64,
}

impl AtIndex {
    pub fn new(list: &Bound<'_, Sequence>, index: &Bound<'_, PyAny>) -> AtIndex {
        AtIndex {
            list: list.clone().unbind(),
            index: index.clone().unbind(),
            found: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        length(self.list.bind(py))
    }
}

impl Place for AtIndex {
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (list, count) = (self.list.bind(py), self.count(py)?);
        let index = index_of(list, self.index.bind(py))?;
        let found = if index < 0 {
            index + count as i64
        } else {
            index
        };
        self.found.store(found as u64, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        get_item(list, self.index.bind(py))
    }

    fn spot(&self, py: Python<'_>) -> PyResult<Spot> {
        let found = self.found.load(Ordering::Relaxed).to_ne_bytes();
        Spot::new(&self.list.bind(py).as_super().get().handle, &found)
    }

    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        let (before, now) = (self.count.load(Ordering::Relaxed), self.count(py)?);
        if before != now {
            let message = format!(
                "there were {before} values when edit() began and are {now} now: which one it was is \
                 not known, and nothing was stored; put in and take out outside of the block"
            );
            return Err(PyRuntimeError::new_err(message));
        }
        let list = self.list.bind(py);
        list.set_item(self.found.load(Ordering::Relaxed), value)
    }

    fn instead(&self) -> &'static str {
        "assign it with get_lock() held"
    }
}
