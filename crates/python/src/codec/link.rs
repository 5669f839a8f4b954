//! Courtyard objects among what is encoded: their bytes say only which of a list they are. Who
//! stores the bytes keeps that list, and hands it to whoever decodes them.

use crate::error::named;
use crate::object::Object;
use crate::room;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::cell::RefCell;

/// What to do with courtyard objects in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Raise `CourtyardError`: in a key, where nothing would keep them alive.
    Refuse,
    /// List them for the caller, who keeps them.
    Keep,
}

thread_local! {
    /// The lists of the pickles that this thread is loading, one inside another.
    static LOADING: RefCell<Vec<Vec<Py<PyAny>>>> = const { RefCell::new(Vec::new()) };
}

pub fn is_courtyard(value: Borrowed<'_, '_, PyAny>) -> bool {
    value.is_instance_of::<Object>()
}

/// What a handle raises where it cannot be kept.
pub fn refuse(py: Python<'_>) -> PyErr {
    named(
        py,
        "CourtyardError",
        "a courtyard object cannot be part of a key: it is equal to itself alone, and nothing would \
         keep it alive; let it be the value"
            .into(),
    )
}

/// Runs `load`, for whose handles `links` is.
///
/// # Errors
/// Those of `load`.
pub fn resolve<T>(
    py: Python<'_>,
    links: &[Py<PyAny>],
    load: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let links = room::collect(links.iter().map(|link| link.clone_ref(py)))?;
    LOADING.with_borrow_mut(|loading| loading.push(links));
    let result = load();
    let ended = LOADING.with_borrow_mut(Vec::pop);
    drop(ended);
    result
}

/// What a courtyard object reduces to inside an encoded value, with its number.
pub fn link_function(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LINKED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found = LINKED.get_or_try_init(py, || {
        let found = py.import("courtyard._native")?.getattr("linked")?;
        Ok::<_, PyErr>(found.unbind())
    });
    found.map(|found| found.bind(py))
}

/// The handle of that number among those of the value that is being decoded.
#[pyfunction]
pub fn linked(py: Python<'_>, number: usize) -> PyResult<Py<PyAny>> {
    let found = LOADING.with_borrow(|loading| {
        let handle = loading.last()?.get(number)?;
        Some(handle.clone_ref(py))
    });
    found.ok_or_else(|| {
        named(
            py,
            "CorruptError",
            format!("no courtyard object has number {number} here"),
        )
    })
}
