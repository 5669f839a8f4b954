//! The methods of native classes under the name of the public class that has them.
//!
//! PyO3 says of wrong arguments in which class the method was written: `Map.edit() missing 1 required
//! positional argument`. Users know no `Map`. So the public classes get descriptors of their own for
//! what they inherit, and where PyO3 itself made the message, its first word is put right.

use super::call::{Pointer, bound, general, panicked};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

type Function = unsafe extern "C" fn(Pointer, *const Pointer, ffi::Py_ssize_t, Pointer) -> Pointer;

/// A method of a native class.
struct Method {
    function: Function,
    /// How PyO3 calls it: `Map.edit()`.
    title: String,
    name: String,
}

const ROWS: usize = 8;
const ROW: usize = 16;
static METHODS: [OnceLock<Method>; ROWS * ROW] = [const { OnceLock::new() }; ROWS * ROW];

/// Calls the method of that number.
unsafe extern "C" fn call<const NUMBER: usize>(
    slf: Pointer,
    arguments: *const Pointer,
    count: ffi::Py_ssize_t,
    names: Pointer,
) -> Pointer {
    let Some(method) = METHODS.get(NUMBER).and_then(OnceLock::get) else {
        return panicked();
    };
    // SAFETY: the arguments of a call of this very convention, whose descriptor checked the type.
    let result = unsafe { (method.function)(slf, arguments, count, names) };
    if result.is_null() {
        return failed(slf, method);
    }
    result
}

#[cold]
fn failed(slf: Pointer, method: &Method) -> Pointer {
    let work = || {
        general(|py| match PyErr::take(py) {
            Some(error) => Err(renamed(&bound(py, slf), error, &method.title, &method.name)),
            None => Err(PyRuntimeError::new_err(
                "a method failed without an exception",
            )),
        })
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

/// The error with the name of the public class, if it is what PyO3 says of wrong arguments.
pub fn renamed(slf: &Bound<'_, PyAny>, error: PyErr, title: &str, name: &str) -> PyErr {
    let py = slf.py();
    if !error.get_type(py).is(py.get_type::<PyTypeError>()) || error.traceback(py).is_some() {
        return error;
    }
    let message = error.value(py).to_string();
    match (message.strip_prefix(title), public_name(slf)) {
        (Some(rest), Ok(class)) => PyTypeError::new_err(format!("{class}.{name}(){rest}")),
        _ => error,
    }
}

/// The name of courtyard's own class that an object is of.
fn public_name(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = object.py();
    let module = py.import(intern!(py, "courtyard._public"))?;
    let found = module.call_method1(intern!(py, "title_of"), (object.get_type(),))?;
    found.extract()
}

macro_rules! row {
    ($($number:literal)*) => {
        [$([
            call::<{ $number * ROW }>, call::<{ $number * ROW + 1 }>, call::<{ $number * ROW + 2 }>,
            call::<{ $number * ROW + 3 }>, call::<{ $number * ROW + 4 }>, call::<{ $number * ROW + 5 }>,
            call::<{ $number * ROW + 6 }>, call::<{ $number * ROW + 7 }>, call::<{ $number * ROW + 8 }>,
            call::<{ $number * ROW + 9 }>, call::<{ $number * ROW + 10 }>, call::<{ $number * ROW + 11 }>,
            call::<{ $number * ROW + 12 }>, call::<{ $number * ROW + 13 }>,
            call::<{ $number * ROW + 14 }>, call::<{ $number * ROW + 15 }>,
        ],)*]
    };
}

static CALLS: [[Function; ROW]; ROWS] = row!(0 1 2 3 4 5 6 7);

/// The function that calls a method and puts its messages right.
fn caller_of(function: Function, class: &str, name: &str) -> PyResult<Function> {
    let title = format!("{class}.{name}()");
    for (place, call) in METHODS.iter().zip(CALLS.as_flattened()) {
        let method = place.get_or_init(|| Method {
            function,
            title: title.clone(),
            name: name.into(),
        });
        if method.title == title {
            return Ok(*call);
        }
    }
    let message = format!("there is no place left for {title}: raise ROWS");
    Err(PyRuntimeError::new_err(message))
}

/// Returns a native class's method or attribute as that of a public class which inherits it.
///
/// # Errors
/// `RuntimeError` if there are more methods than places; `MemoryError`.
#[pyfunction]
pub fn rehome<'py>(
    class: &Bound<'py, PyType>,
    member: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    const KEYWORDS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    let (py, member_type) = (class.py(), member.get_type().as_type_ptr());
    let (target, member) = (class.as_type_ptr(), member.as_ptr());
    if member_type == &raw mut ffi::PyGetSetDescr_Type {
        // SAFETY: its type says that it is one.
        let definition = unsafe { (*member.cast::<ffi::PyGetSetDescrObject>()).d_getset };
        // SAFETY: the class is alive, and the definition lives as long as the native class: for ever.
        let made = unsafe { ffi::PyDescr_NewGetSet(target, definition) };
        // SAFETY: a new reference, or null with an exception set.
        return unsafe { Bound::from_owned_ptr_or_err(py, made) };
    }
    // SAFETY: alive, as the caller's argument.
    let object = unsafe { Bound::from_borrowed_ptr(py, member) };
    if member_type != &raw mut ffi::PyMethodDescr_Type {
        return Ok(object);
    }
    // SAFETY: its type says that it is one.
    let mut definition = unsafe { (*member.cast::<ffi::PyMethodDescrObject>()).d_method };
    // SAFETY: the definition of a native class's method lives for ever.
    let old = unsafe { &*definition };
    if old.ml_flags == KEYWORDS {
        // SAFETY: as the flags say.
        let function = unsafe { old.ml_meth.PyCFunctionFastWithKeywords };
        // SAFETY: a C string that lives as long as the definition.
        let name = unsafe { CStr::from_ptr(old.ml_name) }.to_string_lossy();
        let native = object.getattr("__objclass__")?.cast_into::<PyType>()?;
        let call = caller_of(function, &native.name()?.to_string(), &name)?;
        definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: old.ml_name,
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: call,
            },
            ml_flags: KEYWORDS,
            ml_doc: old.ml_doc,
        }));
    }
    // SAFETY: the class is alive, and the definition lives for ever.
    let made = unsafe { ffi::PyDescr_NewMethod(target, definition) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}
