//! The methods that run in tens of nanoseconds, through CPython's own calling convention.
//!
//! PyO3's convention costs 5 to 15 ns a call: as much as the operation itself. So the classes of
//! `courtyard` get method descriptors made here, which stand before the same-named methods of
//! their native bases. Each tries the one fast path and leaves everything else, waiting and
//! errors included, to that method. A descriptor checks the type of `self` before it calls.

mod list;
mod lock;
mod publish;
mod queue;
mod scalar;
mod semaphore;

pub use publish::rehome;
pub use scalar::{decode, encode};

use crate::cell::Cell;
use crate::guard::GuardedCell;
use crate::list::{Deque, List};
use crate::mutex::{Mutex, RMutex};
use crate::queue::Queue;
use crate::semaphore::Semaphore;
use crate::table::{self, Map};
use crate::vector::{self, Vector};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};
use std::ffi::{CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

pub type Object = *mut ffi::PyObject;

/// `self` as the native class whose layout it has.
///
/// # Safety
/// `slf` is alive, an instance of `T`'s Python class, and the GIL is held.
#[inline(always)]
pub unsafe fn native<'a, T: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync>(
    slf: Object,
) -> &'a T {
    let py = held();
    // SAFETY: the caller keeps `slf` alive during the call.
    let object = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: the descriptor checked the type.
    let object = unsafe { object.cast_unchecked::<T>() };
    let native: *const T = object.get();
    // SAFETY: frozen data of an object that the caller keeps alive.
    unsafe { &*native }
}

/// What CPython takes for a failure, with an exception set.
pub trait Failure {
    const FAILURE: Self;
}

impl Failure for Object {
    const FAILURE: Object = ptr::null_mut();
}

impl Failure for c_int {
    const FAILURE: c_int = -1;
}

impl Failure for ffi::Py_ssize_t {
    const FAILURE: ffi::Py_ssize_t = -1;
}

/// Runs the whole of a function that CPython calls: a panic becomes an exception, as nothing may
/// unwind through C.
#[inline(always)]
pub fn guarded<T: Failure>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| panicked())
}

#[cold]
fn panicked<T: Failure>() -> T {
    let message = c"courtyard panicked; please report it";
    // SAFETY: set with the interpreter.
    let class = unsafe { ffi::PyExc_RuntimeError };
    // SAFETY: whoever calls a method holds the GIL, and the text ends with a zero.
    unsafe { ffi::PyErr_SetString(class, message.as_ptr()) };
    T::FAILURE
}

/// Runs the general method; its result or exception becomes CPython's.
#[cold]
pub fn general(work: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Object {
    let work = |py: Python<'_>| match work(py) {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    };
    // SAFETY: only called from methods, which the interpreter calls with the GIL. So also while it
    // ends and runs `__del__` and `finally`, where `attach` would panic.
    unsafe { Python::attach_unchecked(work) }
}

/// The GIL, which whoever calls a method holds.
#[inline(always)]
pub fn held<'py>() -> Python<'py> {
    // SAFETY: only called from methods, which the interpreter calls with the GIL.
    unsafe { Python::assume_attached() }
}

fn none() -> Object {
    held().None().into_ptr()
}

pub fn bound<'py>(py: Python<'py>, object: Object) -> Bound<'py, PyAny> {
    // SAFETY: an argument of the running call: alive, and borrowed.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}

/// Calls the native base's method of that name.
#[cold]
pub fn base_call<T: pyo3::PyClass>(
    slf: Object,
    name: &std::ffi::CStr,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    general(|py| {
        let method = py
            .get_type::<T>()
            .getattr(name.to_str().unwrap_or_default())?;
        let keywords = if names.is_null() {
            0
        } else {
            // SAFETY: a tuple.
            unsafe { ffi::PyTuple_GET_SIZE(names) }
        };
        let total = (count + keywords) as usize;
        let mut all = Vec::with_capacity(total + 1);
        all.push(slf);
        if total > 0 {
            // SAFETY: the interpreter passes that many.
            all.extend_from_slice(unsafe { std::slice::from_raw_parts(arguments, total) });
        }
        // SAFETY: `all` holds `slf`, the positional and the keyword arguments, all alive.
        let result = unsafe {
            ffi::PyObject_Vectorcall(method.as_ptr(), all.as_ptr(), (count + 1) as usize, names)
        };
        // SAFETY: a new reference, or null with an exception set.
        let result = unsafe { Bound::from_owned_ptr_or_err(py, result) };
        result.map(Bound::unbind).map_err(|error| {
            let name = name.to_string_lossy();
            let title = format!("{}.{name}()", T::NAME);
            publish::renamed(&bound(py, slf), error, &title, &name)
        })
    })
}

fn truth() -> Object {
    let truth: Bound<'_, PyAny> = PyBool::new(held(), true).to_owned().into_any();
    truth.into_ptr()
}

/// A method of the base and the fast function that stands before it.
pub struct Fast {
    pub name: &'static str,
    pub method: ffi::PyMethodDefPointer,
    pub flags: c_int,
}

/// A C string that lives as long as the process, as method definitions need.
fn forever(text: String) -> *const std::ffi::c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// The base method's signature and docstring, as CPython keeps them in one string.
fn documentation(base: &Bound<'_, PyType>, name: &str) -> PyResult<String> {
    let method = base.getattr(name)?;
    let signature: Option<String> = method.getattr("__text_signature__")?.extract()?;
    let text: Option<String> = method.getattr("__doc__")?.extract()?;
    let signature = signature.map(|signature| format!("{name}{signature}\n--\n\n"));
    Ok(signature.unwrap_or_default() + &text.unwrap_or_default())
}

/// Gives a class these methods, with the base's signatures and documentation.
///
/// # Errors
/// `MemoryError`.
pub fn install_methods(
    class: &Bound<'_, PyType>,
    base: &Bound<'_, PyType>,
    methods: &[Fast],
) -> PyResult<()> {
    for fast in methods {
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: forever(fast.name.into()),
            ml_meth: fast.method,
            ml_flags: fast.flags,
            ml_doc: forever(documentation(base, fast.name)?),
        }));
        // SAFETY: the class is alive and the definition lives for ever.
        let made = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
        // SAFETY: a new reference, or null with an exception set.
        let descriptor = unsafe { Bound::from_owned_ptr_or_err(class.py(), made) }?;
        class.setattr(fast.name, descriptor)?;
    }
    Ok(())
}

unsafe extern "C" {
    /// Of CPython's `cpython/descrobject.h`, and not in pyo3-ffi.
    fn PyDescr_NewWrapper(
        class: *mut ffi::PyTypeObject,
        base: *mut ffi::wrapperbase,
        function: *mut c_void,
    ) -> Object;
}

/// Gives a class these functions in the place of those that its base's special methods wrap. CPython
/// calls them from the slot without a detour, for subclasses too that define no such method.
///
/// # Errors
/// `TypeError` if the base's method is none of a slot; `MemoryError`.
///
/// # Safety
/// Each function is of the signature that the slot has.
pub unsafe fn install_slots(
    class: &Bound<'_, PyType>,
    functions: &[(&str, *mut c_void)],
) -> PyResult<()> {
    let py = class.py();
    for &(name, function) in functions {
        let method = class.getattr(name)?;
        if method.get_type().as_type_ptr() != &raw mut ffi::PyWrapperDescr_Type {
            let what = format!("{name} of {class} is no method of a slot");
            return Err(pyo3::exceptions::PyTypeError::new_err(what));
        }
        // SAFETY: its type says that it is one; what it refers to lives as long as the interpreter.
        let base = unsafe { (*method.as_ptr().cast::<ffi::PyWrapperDescrObject>()).d_base };
        // SAFETY: the class is alive, the base a slot's, the function as the caller promised.
        let made = unsafe { PyDescr_NewWrapper(class.as_type_ptr(), base, function) };
        // SAFETY: a new reference, or null with an exception set.
        let descriptor = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
        class.setattr(name, descriptor)?;
    }
    Ok(())
}

/// As `install_slots`, the methods of items.
///
/// # Errors
/// As `install_slots`.
pub fn install_items(
    class: &Bound<'_, PyType>,
    subscript: ffi::binaryfunc,
    assign: ffi::objobjargproc,
) -> PyResult<()> {
    let functions = [
        ("__getitem__", subscript as *mut c_void),
        ("__setitem__", assign as *mut c_void),
        ("__delitem__", assign as *mut c_void),
    ];
    // SAFETY: their types are those of the slots.
    unsafe { install_slots(class, &functions) }
}

/// Gives a subclass of a native class with fast methods these.
#[pyfunction]
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    if class.is_subclass_of::<Map>()? {
        return table::install(class);
    }
    if class.is_subclass_of::<List>()? {
        crate::list::install(class)?;
        return install_methods(class, &py.get_type::<List>(), &list::list_methods());
    }
    if class.is_subclass_of::<Deque>()? {
        crate::list::install(class)?;
        return install_methods(class, &py.get_type::<Deque>(), &list::deque_methods());
    }
    if class.is_subclass_of::<Vector>()? {
        return vector::install(class);
    }
    if class.is_subclass_of::<Mutex>()? {
        return install_methods(class, &py.get_type::<Mutex>(), &lock::methods());
    }
    if class.is_subclass_of::<RMutex>()? {
        return install_methods(class, &py.get_type::<RMutex>(), &lock::methods());
    }
    if class.is_subclass_of::<Queue>()? {
        return install_methods(class, &py.get_type::<Queue>(), &queue::methods());
    }
    if class.is_subclass_of::<Semaphore>()? {
        return install_methods(class, &py.get_type::<Semaphore>(), &semaphore::methods());
    }
    let base = py.get_type::<Cell>();
    if !class.is_subclass_of::<Cell>()? && !class.is_subclass_of::<GuardedCell>()? {
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "expected a subclass of a native class with fast methods",
        ));
    }
    install_methods(class, &base, &scalar::methods())?;
    scalar::install_value(class, &base)
}
