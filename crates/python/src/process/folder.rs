//! The folder of this user's spaces.

use crate::error::raise;
use courtyard_core::folder;
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use std::ffi::CString;
use std::path::PathBuf;

/// Whether it was said that there is no shared memory.
static SAID: AtomicBool = AtomicBool::new(false);

/// What `COURTYARD_DIR` says. A relative path means what it means now: so it is written back as an
/// absolute one, for this process in another working directory, and for those that it starts.
fn chosen(py: Python<'_>) -> PyResult<Option<PathBuf>> {
    let chosen = std::env::var_os(FOLDER).filter(|value| !value.is_empty());
    let Some(chosen) = chosen.map(PathBuf::from) else {
        return Ok(None);
    };
    if chosen.is_absolute() {
        return Ok(Some(chosen));
    }
    let chosen = std::path::absolute(chosen)?;
    py.import("os")?
        .getattr("environ")?
        .set_item(FOLDER, chosen.as_os_str())?;
    Ok(Some(chosen))
}

const FOLDER: &str = "COURTYARD_DIR";

/// The folder of this user's spaces; says once if it is not in shared memory.
///
/// # Errors
/// As `folder::open`.
pub fn own_folder(py: Python<'_>) -> PyResult<PathBuf> {
    let chosen = chosen(py)?;
    let path = folder::open(chosen.as_deref()).map_err(|error| raise(py, error))?;
    if chosen.is_none()
        && !path.starts_with(folder::SHARED_MEMORY)
        && !SAID.swap(true, Ordering::Relaxed)
    {
        let text = format!(
            "courtyard found no {} to write to, and keeps its memory in {}: slower if that is on a \
             disk, and not found by programs that have another environment; set COURTYARD_DIR to \
             say where",
            folder::SHARED_MEMORY,
            path.display()
        );
        let text = CString::new(text).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 2)?;
    }
    Ok(path)
}

/// Removes the files of private spaces whose processes are all gone; how many.
#[pyfunction]
pub fn clean(py: Python<'_>) -> usize {
    let folder = chosen(py).map(|chosen| folder::open(chosen.as_deref()));
    match folder {
        Ok(Ok(folder)) => folder::clean(&folder),
        _ => 0, // whoever makes a space is told
    }
}
