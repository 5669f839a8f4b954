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
    let are_both = |class: &Bound<'_, PyType>| -> PyResult<Option<bool>> {
        let (one, other) = (unmade.is_instance(class)?, made.is_instance(class)?);
        Ok((one == other).then_some(one))
    };
    let py = made.py();
    let are_values = are_both(&py.get_type::<RawValue>())?;
    let are_arrays = are_both(&py.get_type::<RawArray>())?;
    // A value's kind depends on what it is declared as.
    let are_alike = match (are_values, are_arrays) {
        (Some(true), Some(false)) => true,
        (Some(false), Some(_)) => kind_of(unmade)? == kind_of(made)?,
        _ => false,
    };
    if !are_alike {
        return Err(unlike());
    }
    begin_swap(unmade, made)?;
    exchange::<RawValue>(unmade, made);
    exchange::<RawArray>(unmade, made);
    exchange::<Queue>(unmade, made);
    exchange::<Semaphore>(unmade, made);
    Ok(())
}

fn kind_of(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    Ok(object.cast::<Object>()?.get().kind)
}
