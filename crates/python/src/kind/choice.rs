//! What depends on which kind an object is of.

use super::array::RawArray;
use super::dict::Dict;
use super::list::Sequence;
use super::lock::{Lock, RLock};
use super::queue::Queue;
use super::semaphore::Semaphore;
use super::value::RawValue;
use super::{array, dict, list, lock, queue, semaphore, value};
use crate::object::Object;
use crate::object::subclass::{begin_swap, exchange, unlike};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Gives a subclass of a native class the fast methods that there are for it.
#[pyfunction]
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    type Install = fn(&Bound<'_, PyType>) -> PyResult<()>;
    let py = class.py();
    let kinds: [(_, Install); 8] = [
        (py.get_type::<RawValue>(), value::install),
        (py.get_type::<RawArray>(), array::install),
        (py.get_type::<Dict>(), dict::install),
        (py.get_type::<Sequence>(), list::install),
        (py.get_type::<Queue>(), queue::install),
        (py.get_type::<Lock>(), lock::install::<Lock>),
        (py.get_type::<RLock>(), lock::install::<RLock>),
        (py.get_type::<Semaphore>(), semaphore::install),
    ];
    for (native, install) in kinds {
        if class.is_subclass(&native)? {
            return install(class);
        }
    }
    let message = "expected a subclass of a native class with fast methods";
    Err(PyTypeError::new_err(message))
}

/// Makes `unmade`, an object without one, that of `made`, and the other way round.
///
/// # Errors
/// `TypeError` if they are not of one kind, or `unmade` has an object.
#[pyfunction]
pub fn adopt(unmade: &Bound<'_, PyAny>, made: &Bound<'_, PyAny>) -> PyResult<()> {
    if sort_of(unmade)? != sort_of(made)? {
        return Err(unlike());
    }
    begin_swap(unmade, made)?;
    exchange::<RawValue>(unmade, made);
    exchange::<RawArray>(unmade, made);
    exchange::<Queue>(unmade, made);
    exchange::<Semaphore>(unmade, made);
    Ok(())
}

/// Objects of one sort have the same parts. That of a value does not depend on its kind, which says
/// only what it was declared as.
fn sort_of(object: &Bound<'_, PyAny>) -> PyResult<(bool, bool, u64)> {
    let is_value = object.is_instance_of::<RawValue>();
    let kind = match is_value {
        true => 0,
        false => object.cast::<Object>()?.get().kind,
    };
    Ok((is_value, object.is_instance_of::<RawArray>(), kind))
}
