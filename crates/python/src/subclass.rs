//! Objects of classes of programs that have an `__init__`: it says with which arguments they are made.
//!
//! `__new__` gives such an object a handle of nothing (`Handle::unmade`), with which every operation
//! fails. When `__init__` calls ours, `courtyard._subclass` makes an object of courtyard's own class, and
//! what that has natively becomes the other's (`adopt`).

use crate::cell::Cell;
use crate::handle::Handle;
use crate::hot::{Object, bound, general, guarded, install_slots, native};
use crate::primitive::Primitive;
use crate::queue::Queue;
use crate::semaphore::Semaphore;
use crate::space::handle_of;
use crate::vector::Vector;
use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyTuple};
use std::ffi::{c_int, c_void};
use std::ptr;

/// The `__init__` of a native class, as PyO3 has it: with its signature for Python.
///
/// # Errors
/// `RuntimeError` if it was called before; what making the object raises.
pub fn initialise(
    object: &Bound<'_, PyAny>,
    handle: &Handle,
    arguments: &Bound<'_, PyTuple>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    if handle.is_made() {
        return if handle.settle() {
            Err(twice(object))
        } else {
            Ok(())
        };
    }
    let py = object.py();
    let keywords = keywords.map_or_else(|| PyDict::new(py), Clone::clone);
    let module = py.import(intern!(py, "courtyard._subclass"))?;
    let initialise = module.getattr(intern!(py, "initialise"))?;
    initialise.call1((object, arguments, keywords)).map(drop)
}

/// As `initialise`, through CPython's slot: each object of courtyard's own classes comes here when it is
/// made.
unsafe extern "C" fn begin<T: PyClass<Frozen = True> + Sync + Handled>(
    slf: Object,
    arguments: Object,
    keywords: Object,
) -> c_int {
    guarded(|| {
        // SAFETY: the slot is that of `T`'s Python class.
        let handle = unsafe { native::<T>(slf) }.handle();
        if handle.is_made() && !handle.settle() {
            return 0;
        }
        let done = general(|py| {
            let slf = bound(py, slf);
            if handle.is_made() {
                return Err(twice(&slf));
            }
            let arguments = bound(py, arguments);
            // SAFETY: null, or an argument of the running call.
            let keywords = unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) };
            let keywords = keywords.as_ref().map(Bound::cast).transpose()?;
            initialise(&slf, handle, arguments.cast()?, keywords)?;
            Ok(py.None())
        });
        if done.is_null() { -1 } else { 0 }
    })
}

trait Handled {
    fn handle(&self) -> &Handle;
}

impl Handled for Primitive {
    fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Handled for Cell {
    fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Handled for Vector {
    fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Gives the native classes their `__init__`.
///
/// # Errors
/// `MemoryError`.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let begins: [(_, ffi::initproc); 3] = [
        (py.get_type::<Primitive>(), begin::<Primitive>),
        (py.get_type::<Cell>(), begin::<Cell>),
        (py.get_type::<Vector>(), begin::<Vector>),
    ];
    for (class, begin) in begins {
        // SAFETY: its type is that of the slot.
        unsafe { install_slots(&class, &[("__init__", begin as *mut c_void)]) }?;
    }
    Ok(())
}

#[cold]
fn twice(object: &Bound<'_, PyAny>) -> PyErr {
    let class = object.get_type();
    let name = class
        .name()
        .map_or_else(|_| "it".into(), |name| name.to_string());
    PyRuntimeError::new_err(format!(
        "__init__() of this {name} was called before, and others may use the object: make another"
    ))
}

/// Whether there is an object: not so before an `__init__` of a subclass calls ours.
#[pyfunction]
pub fn is_made(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(handle_of(object)?.is_made())
}

/// Makes `unmade`, an object without one, that of `made`, and the other way round.
///
/// # Errors
/// `TypeError` if they are not of one kind, or `unmade` has an object.
#[pyfunction]
pub fn adopt(unmade: &Bound<'_, PyAny>, made: &Bound<'_, PyAny>) -> PyResult<()> {
    if let (Ok(unmade), Ok(made)) = (unmade.cast::<Primitive>(), made.cast::<Primitive>())
        && unmade.get().kind != made.get().kind
    {
        return Err(unlike());
    }
    let is_done = swap::<Cell>(unmade, made, |cell| &cell.handle)
        || swap::<Vector>(unmade, made, |vector| &vector.handle)
        || swap::<Primitive>(unmade, made, |primitive| &primitive.handle);
    if !is_done {
        return Err(unlike());
    }
    exchange::<Queue>(unmade, made);
    exchange::<Semaphore>(unmade, made);
    Ok(())
}

fn unlike() -> PyErr {
    PyTypeError::new_err("expected an object that is not made yet, and one of its kind that is")
}

fn swap<T: PyClass<Frozen = True> + Sync>(
    unmade: &Bound<'_, PyAny>,
    made: &Bound<'_, PyAny>,
    handle: fn(&T) -> &Handle,
) -> bool {
    let (Ok(to), Ok(from)) = (unmade.cast::<T>(), made.cast::<T>()) else {
        return false;
    };
    if handle(to.get()).is_made() || !handle(from.get()).is_made() {
        return false;
    }
    exchange::<T>(unmade, made);
    handle(to.get()).settle();
    true
}

/// Swaps what two objects have of a native class, if both are of it.
fn exchange<T: PyClass<Frozen = True> + Sync>(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) {
    let (Ok(one), Ok(other)) = (one.cast::<T>(), other.cast::<T>()) else {
        return;
    };
    let (one, other) = (
        ptr::from_ref(one.get()).cast_mut(),
        ptr::from_ref(other.get()).cast_mut(),
    );
    // SAFETY: with the GIL, and nobody relies on what either holds: `other` was just made and is its
    // maker's alone; and whoever is inside a method of the unmade `one`, perhaps in Python code that an
    // argument runs, has got no further than that, as no handle of nothing can be opened. Both have
    // atomics in them, so the compiler takes nothing that was read before a call for still true after it.
    unsafe { ptr::swap(one, other) };
}
