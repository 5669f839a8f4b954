//! Values that cannot be loaded: `LoadError`, and what stands for them where they are only shown.

use crate::object::handle_of;
use crate::room;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyMemoryError, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::cell::Cell;

thread_local! {
    /// Whether this thread only shows values: what cannot be loaded then comes as what stands for it.
    static SHOWING: Cell<bool> = const { Cell::new(false) };
}

/// The class, once one was raised.
static LOAD_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

struct Back(bool);

impl Drop for Back {
    fn drop(&mut self) {
        SHOWING.set(self.0);
    }
}

/// Calls `show()`; a value or key that cannot be loaded comes as an object whose repr says so.
#[pyfunction]
pub fn showing<'py>(show: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let _back = Back(SHOWING.replace(true));
    show.call0()
}

/// Runs `work` as `showing` does.
pub fn shown<T>(work: impl FnOnce() -> T) -> T {
    let _back = Back(SHOWING.replace(true));
    work()
}

/// Whether an object stands for one that cannot be loaded.
pub fn is_unloadable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if !SHOWING.get() {
        return Ok(false);
    }
    let class = object.py().import("courtyard._codec.loading")?;
    object.is_instance(&class.getattr("Unloadable")?)
}

/// Runs `load`, which unpickles `pickled`: any `Exception` of it and `SystemExit`, but courtyard's own
/// other than `NotFound`, and what a signal handler raised meanwhile, becomes a `LoadError`. Where values
/// are only shown, what stands for the value comes instead.
///
/// # Errors
/// `LoadError`; what else `load` raises.
pub fn loading<'py>(
    pickled: &Bound<'py, PyAny>,
    load: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let result = {
        let _back = Back(SHOWING.replace(false)); // what runs inside loads for itself
        load()
    };
    result.or_else(|error| failed(pickled, error))
}

#[cold]
fn failed<'py>(pickled: &Bound<'py, PyAny>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
    let py = pickled.py();
    let may_be =
        error.is_instance_of::<PyException>(py) || error.is_instance_of::<PySystemExit>(py);
    if !may_be || is_of_a_handler(py, &error)? {
        return Err(error);
    }
    let module = py.import("courtyard._codec.loading")?;
    let raised = error.clone_ref(py).into_value(py); // with its traceback
    if SHOWING.get() {
        return module.call_method1("unloadable", (&raised, pickled));
    }
    let errors = py.import("courtyard._error")?;
    // An object of another space that is gone is gone for good: that says something of the value.
    let is_ours = error.is_instance(py, &errors.getattr("CourtyardError")?);
    if is_ours && !error.is_instance(py, &errors.getattr("NotFound")?) {
        return Err(error);
    }
    let _ = LOAD_ERROR.get_or_try_init(py, || errors.getattr("LoadError").map(Bound::unbind))?;
    let made = module.call_method1("load_error", (&raised, pickled))?;
    let made = PyErr::from_value(made);
    made.set_cause(py, Some(error));
    Err(made)
}

/// Whether a signal handler raised an error.
fn is_of_a_handler(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let module = py.import("courtyard._codec.loading")?;
    let raised = error.clone_ref(py).into_value(py); // with its traceback
    let is_of_a_handler = module.call_method1("is_of_a_handler", (raised,))?;
    is_of_a_handler.is_truthy()
}

/// Whether what loading a value raised says something of the value, and not of this process.
pub fn is_of_the_value(py: Python<'_>, error: &PyErr) -> bool {
    let is_interrupt = error.is_instance_of::<PyKeyboardInterrupt>(py);
    !is_interrupt && !is_of_a_handler(py, error).unwrap_or(false)
}

/// What decoding raised, which for want of memory is a `LoadError`, too.
#[cold]
pub fn decoding<'py>(py: Python<'py>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
    if !error.is_instance_of::<PyMemoryError>(py) || is_load_error(py, &error) {
        return Err(error);
    }
    room::scarce(|| failed(&PyBytes::new(py, b""), error))
}

/// Whether an error is a `LoadError`.
#[inline]
pub fn is_load_error(py: Python<'_>, error: &PyErr) -> bool {
    let class = LOAD_ERROR.get(py); // none: nobody made one
    class.is_some_and(|class| error.is_instance(py, class.bind(py)))
}

/// Adds to a `LoadError` which value of its object could not be loaded.
#[cold]
pub fn at(py: Python<'_>, error: PyErr, place: &str) -> PyErr {
    locate(py, error, |locate, error| locate.call1((error, place)))
}

/// As `at`, of a value under a key or an index: `key` is called if it is needed.
#[cold]
pub fn at_key<'py>(
    py: Python<'py>,
    error: PyErr,
    place: &str,
    key: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyErr {
    locate(py, error, |locate, error| {
        locate.call1((error, place, shown(key)?))
    })
}

fn locate<'py>(
    py: Python<'py>,
    error: PyErr,
    call: impl FnOnce(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyErr {
    static LOCATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if is_load_error(py, &error) {
        let located = LOCATE
            .get_or_try_init(py, || {
                let module = py.import("courtyard._codec.loading")?;
                module.getattr("locate").map(Bound::unbind)
            })
            .and_then(|found| call(found.bind(py), error.value(py).as_any()));
        if let Err(other) = located {
            return other;
        }
    }
    error
}

/// As `of`, for a `Value`.
#[cold]
pub fn of_value(py: Python<'_>, error: PyErr, name: impl FnOnce() -> Option<String>) -> PyErr {
    locate(py, at(py, error, "the value"), |_, error| {
        let title = match name() {
            Some(name) => format!("Value {name}"),
            None => "a Value".into(),
        };
        let module = py.import("courtyard._codec.loading")?;
        module.call_method1("belong", (error, title))
    })
}

/// Adds to a `LoadError` which object the value is in.
#[inline]
pub fn of(object: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = object.py();
    if !is_load_error(py, &error) {
        return error;
    }
    let belong = || {
        let name = handle_of(object).and_then(|handle| handle.shown_name(py));
        let class = object.get_type().name()?;
        let title = name.map_or(class.to_string(), |name| format!("{class} {name}"));
        let module = py.import("courtyard._codec.loading")?;
        module.call_method1("belong", (error.value(py), title))
    };
    belong().err().unwrap_or(error)
}
