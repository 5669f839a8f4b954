//! Waits of an event loop: registered at objects, told of through a descriptor.

use super::class::{Object, events};
use super::handle::Handle;
use crate::deadline::{self, Limit};
use crate::error::raise;
use crate::process::Way;
use crate::thread;
use courtyard_core::inspect::Readiness;
use courtyard_core::lock;
use courtyard_core::name;
use courtyard_core::object;
use courtyard_core::offset::EventWord;
use courtyard_core::sleeper;
use courtyard_core::sync::Ordering;
use courtyard_core::waiting::Note;
use courtyard_core::{inspect, listener, sleeper::counts};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What wakes the tasks of an event loop.
///
/// Its descriptor is readable when tokens have come: numbers that waits were registered with.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Listener(Arc<listener::Listener>);

#[pymethods]
impl Listener {
    #[new]
    fn new() -> PyResult<Listener> {
        Ok(Listener(listener::Listener::new()?))
    }

    fn fileno(&self) -> RawFd {
        self.0.descriptor()
    }

    /// Take the tokens that have come since the last call.
    fn take(&self) -> Vec<u64> {
        self.0.take()
    }

    /// Register a wait for a change of an object, or of one of its event words; look at it after that.
    ///
    /// The token comes once, when that may have changed. The wait ends with the registration, too.
    #[pyo3(signature = (object, token, event=None))]
    fn register(
        &self,
        py: Python<'_>,
        object: &Bound<'_, Object>,
        token: u64,
        event: Option<usize>,
    ) -> PyResult<Registration> {
        let Object { handle, kind } = object.get();
        handle.open(py)?;
        let all = events(*kind);
        let chosen = match event {
            None => all,
            Some(index) => all
                .get(index..=index)
                .ok_or_else(|| PyValueError::new_err(format!("there is no event {index}")))?,
        };
        let words: Vec<EventWord> = chosen.iter().map(|&event| handle.object + event).collect();
        let token = listener::Token {
            listener: self.0.clone(),
            number: token,
        };
        let way = Way::new(handle.space);
        let wait = sleeper::register(handle.space, &words, token);
        let wait = wait.map_err(|error| raise(py, error))?;
        Ok(Registration(Mutex::new(Some((wait, way)))))
    }
}

/// A registered wait, which ends when this is cancelled or gone.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Registration(Mutex<Option<(sleeper::Registration, Way)>>);

#[pymethods]
impl Registration {
    /// End the wait; its token may have come by then. Does nothing the second time.
    fn cancel(&self) {
        let wait = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(wait);
    }
}

/// Those of the objects that are ready, and those that will be although nothing changes.
///
/// A queue is with an item, a lock when it is free, an event when it is set, a semaphore with a permit.
/// Raises TypeError for other types, which are not ready or unready by themselves. None: something else
/// than objects is among the items.
#[pyfunction]
pub fn ready<'py>(items: &Bound<'py, PyList>) -> PyResult<Option<[Bound<'py, PyList>; 2]>> {
    let py = items.py();
    let (ready, later) = (PyList::empty(py), PyList::empty(py));
    for item in items {
        let Ok(object) = item.cast::<Object>() else {
            return Ok(None);
        };
        let Object { handle, kind } = object.get();
        handle.require_open(py)?;
        match inspect::readiness(&handle.space.segment, handle.object, *kind) {
            Some(Readiness::Ready) => ready.append(item)?,
            Some(Readiness::Later) => later.append(item)?,
            Some(Readiness::Unready) => {}
            None => {
                let class = item.get_type().name()?;
                return Err(PyTypeError::new_err(format!(
                    "a {class} is not ready or unready by itself: wait for a pair (object, condition), \
                     whose condition is as that of wait_for()"
                )));
            }
        }
    }
    Ok(Some([ready, later]))
}

/// How many threads of this process sleep for event loops, and for how many waits.
#[pyfunction]
pub fn waits() -> (usize, usize) {
    counts()
}

/// A number for a new owner of locks: a task, as distinct from all threads.
#[pyfunction]
pub fn new_owner() -> u32 {
    thread::new_task()
}

/// Note that a task has been waiting for a change of an object, for so many seconds; the note ends with what
/// this returns. None: so many wait that there is no room for it.
#[pyfunction]
pub fn note_wait(
    object: &Bound<'_, Object>,
    event: Option<usize>,
    seconds: f64,
    owner: u32,
    task: &Bound<'_, PyAny>,
) -> PyResult<Option<WaitNote>> {
    let Object { handle, kind } = object.get();
    let participant = handle.require_open(object.py())?;
    let (segment, event) = (&handle.space.segment, events(*kind).get(event.unwrap_or(0)));
    let word = event.map_or(handle.object.0, |&event| (handle.object + event).0);
    let waited = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let note = Note::new(
        segment,
        participant,
        word,
        waited,
        thread::task(owner, task)?,
    );
    Ok(note.map(|note| WaitNote {
        _note: note,
        _way: Way::new(handle.space),
    }))
}

/// A note that a task waits.
#[pyclass(frozen, module = "courtyard._native")]
pub struct WaitNote {
    _note: Note<'static>,
    _way: Way,
}

/// Call something in the name of an owner of locks, a task. Where an object is, the task's name is noted.
#[pyfunction]
#[pyo3(signature = (owner, call, object=None, task=None))]
pub fn as_owner<'py>(
    owner: u32,
    call: &Bound<'py, PyAny>,
    object: Option<&Bound<'py, Object>>,
    task: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if let (Some(object), Some(task)) = (object, task) {
        let handle = &object.get().handle;
        let (segment, participant) = (&handle.space.segment, handle.require_open(call.py())?);
        if !name::is_noted(segment, participant, owner) {
            name::note(
                segment,
                participant,
                owner,
                &thread::task(owner, task)?.name,
            );
        }
    }
    thread::as_owner(owner, || call.call0())
}

/// How long an attempt waits for the engine's locks in all, whose holders need microseconds.
const ATTEMPT: Duration = Duration::from_millis(10);

/// Call something in the name of an owner, which is to change `object`, without waiting for `get_lock()`.
///
/// Returns a tuple of what it returns; None if another owner holds the lock, or another process is inside a
/// change for long: then nothing was done.
#[pyfunction]
#[pyo3(signature = (owner, object, call, arguments, keywords=None))]
pub fn attempt<'py>(
    py: Python<'py>,
    owner: u32,
    object: &Bound<'py, Object>,
    call: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let Object { handle, .. } = object.get();
    thread::as_owner(owner, || {
        if is_held_by_another(py, handle)? {
            return Ok(None);
        }
        let limit = Limit::of(Some(deadline::Deadline::after(ATTEMPT)));
        let result = deadline::until(py, limit, || call.call(arguments, keywords))?;
        result.map(|result| PyTuple::new(py, [result])).transpose()
    })
}

/// Whether another owner than this thread has acquired the object's lock by `get_lock()`.
fn is_held_by_another(py: Python<'_>, handle: &Handle) -> PyResult<bool> {
    let participant = handle.open(py)?;
    let segment = &handle.space.segment;
    let writer = thread::thread_writer(handle.object);
    let word = segment.word(handle.object.0).load(Ordering::Acquire); // as `is_held` needs
    let is_held = lock::is_held(segment, word).map_err(|error| raise(py, error))?;
    Ok(is_held
        && !object::is_mine(segment, &participant, writer)
        && object::levels(segment, handle.object).map_err(|error| raise(py, error))? > 0)
}
