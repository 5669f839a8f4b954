//! Courtyard objects among what is encoded: their bytes say only which of a list they are. Who
//! stores the bytes keeps that list, and hands it to whoever decodes them.

use super::object::Object;
use crate::cell::Cell;
use crate::error::named;
use crate::handle::Handle;
use crate::primitive::Primitive;
use crate::vector::Vector;
use pyo3::prelude::*;
use std::cell::RefCell;

/// What a pickle that this thread is writing does with handles.
enum Pickling {
    /// There is none of ours: a handle pickles itself.
    No,
    Refuse,
    Keep(Vec<Py<PyAny>>),
}

thread_local! {
    static PICKLING: RefCell<Pickling> = const { RefCell::new(Pickling::No) };
    /// The lists of the pickles that this thread is loading, one inside another.
    static LOADING: RefCell<Vec<Vec<Py<PyAny>>>> = const { RefCell::new(Vec::new()) };
}

/// Each class of handles is listed here.
pub fn is_courtyard(value: Object) -> bool {
    value.is_instance_of::<Cell>()
        || value.is_instance_of::<Vector>()
        || value.is_instance_of::<Primitive>()
}

/// The handle behind a courtyard object.
pub fn handle_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Handle> {
    if let Ok(primitive) = object.cast::<Primitive>() {
        return Some(&primitive.get().handle);
    }
    if let Ok(cell) = object.cast::<Cell>() {
        return Some(&cell.get().handle);
    }
    let vector = object.cast::<Vector>().ok()?;
    Some(&vector.get().handle)
}

/// Whether this thread is pickling a value to be stored, so that a handle must not pickle itself.
pub fn is_storing() -> bool {
    PICKLING.with_borrow(|pickling| !matches!(pickling, Pickling::No))
}

/// Runs `work`, in which handles pickle themselves, whatever is being stored around it.
pub fn not_storing<T>(work: impl FnOnce() -> T) -> T {
    let before = PICKLING.replace(Pickling::No);
    let result = work();
    PICKLING.replace(before);
    result
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

/// Runs `pickle`; returns the handles that it met, too.
///
/// # Errors
/// Those of `pickle`.
pub fn gather<T>(
    keep: bool,
    pickle: impl FnOnce() -> PyResult<T>,
) -> PyResult<(T, Vec<Py<PyAny>>)> {
    let ours = if keep {
        Pickling::Keep(Vec::new())
    } else {
        Pickling::Refuse
    };
    let before = PICKLING.replace(ours);
    let result = pickle();
    match PICKLING.replace(before) {
        Pickling::Keep(linked) => Ok((result?, linked)),
        _ => Ok((result?, Vec::new())),
    }
}

/// Runs `load`, for whose handles `links` stands.
///
/// # Errors
/// Those of `load`.
pub fn resolve<T>(
    py: Python<'_>,
    links: &[Py<PyAny>],
    load: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let links = links.iter().map(|link| link.clone_ref(py)).collect();
    LOADING.with_borrow_mut(|loading| loading.push(links));
    let result = load();
    let ended = LOADING.with_borrow_mut(Vec::pop);
    drop(ended);
    result
}

/// What a handle reduces to inside an encoded value; None: there it is not.
#[pyfunction]
pub fn link_to<'py>(handle: &Bound<'py, PyAny>) -> PyResult<Option<(Bound<'py, PyAny>, (usize,))>> {
    let py = handle.py();
    let number = PICKLING.with_borrow_mut(|pickling| match pickling {
        Pickling::Keep(linked) => {
            linked.push(handle.clone().unbind());
            Some(linked.len() - 1)
        }
        _ => None,
    });
    let Some(number) = number else {
        return Ok(None);
    };
    let linked = py.import("courtyard._native")?.getattr("linked")?;
    Ok(Some((linked, (number,))))
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
