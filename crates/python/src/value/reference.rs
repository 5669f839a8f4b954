//! Courtyard objects kept by stored values: a list of handles, pickled beside the value, whose
//! addresses are numbers among the links that the value's block holds (`courtyard_core::link`).
//!
//! | what a block with links holds behind them | |
//! | ------------------------------------------ | -------------------------------------- |
//! | a word                                     | the length of the pickled list          |
//! | a word                                     | the codec's kind of the value           |
//! | bytes, up to the end of a line             | the pickled list                        |
//! | bytes                                      | the value's payload                     |

use crate::codec::pickler::{Meet, Pickler};
use crate::codec::{self, Buffers, LINKED, Source, failure, pickle};
use crate::error::{named, raise, waiting};
use crate::object::{Address, PendingMembers, handle_of, importing};
use crate::policy;
use crate::room;
use courtyard_core::directory;
use courtyard_core::folder::DURABLE;
use courtyard_core::layout::{LINE, align_up};
use courtyard_core::link;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::participant::Participant;
use courtyard_core::space::{Caller, Space};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

/// How often a value is read again whose objects are gone by the time they are opened. Each time
/// somebody replaced it; this often nobody does.
const MAX_ATTEMPTS: u32 = 10_000;

thread_local! {
    /// Whether this thread reduces a handle for a stored value.
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Stands for a handle's address while the handle is reduced for a stored value. The pickler that
/// asked for it writes the number of a link; any other one, an address as elsewhere.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Export(Py<PyAny>);

#[pymethods]
impl Export {
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let object = slf.get().0.bind(py);
        as_tuple(py, address_of(object)?)
    }
}

/// What a tuple reduces to.
fn as_tuple<'py>(py: Python<'py>, address: Address) -> PyResult<Bound<'py, PyAny>> {
    let reduced = (py.get_type::<PyTuple>(), (address,)).into_pyobject(py)?;
    Ok(reduced.into_any())
}

fn address_of(object: &Bound<'_, PyAny>) -> PyResult<Address> {
    let handle = handle_of(object);
    let handle = handle.ok_or_else(|| PyTypeError::new_err("expected a courtyard object"))?;
    handle.address(object.py())
}

/// What a handle says in a pickle: its address, or what stands for it.
///
/// # Errors
/// `Closed`, `NotFound`, `SpaceFull`.
#[pyfunction]
pub fn export<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    if EXPORTING.get() {
        return Ok(Bound::new(py, Export(object.clone().unbind()))?.into_any());
    }
    Ok(address_of(object)?.into_pyobject(py)?.into_any())
}

/// What becomes of courtyard objects of other spaces than a value's, which no link can name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    Refused,
    /// They are pickled as elsewhere: a ticket keeps each until it is loaded.
    Ticketed,
}

/// Pickles the handles of a value in this space, and lists their objects.
#[derive(Clone)]
struct Outward {
    space: &'static Space,
    foreign: Foreign,
    objects: Arc<Mutex<Vec<ObjectId>>>,
}

impl Meet for Outward {
    fn meet<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        if let Ok(exported) = object.cast::<Export>() {
            let handle = exported.get().0.bind(py);
            let address = match self.number(py, handle)? {
                Some(number) => (String::new(), 0, number, 0, 0, 0),
                None => address_of(handle)?,
            };
            return as_tuple(py, address).map(Some);
        }
        if !codec::is_courtyard(object.as_borrowed()) {
            return Ok(None);
        }
        let reducers = py.import(intern!(py, "copyreg"))?;
        let reducers = reducers.getattr(intern!(py, "dispatch_table"))?;
        let reducer = reducers.call_method1(intern!(py, "get"), (object.get_type(),))?;
        let before = EXPORTING.replace(true);
        let reduced = if reducer.is_none() {
            object.call_method1(intern!(py, "__reduce_ex__"), (5,))
        } else {
            reducer.call1((object,))
        };
        EXPORTING.set(before);
        reduced.map(Some)
    }
}

impl Outward {
    /// The number of a handle's object among the links; None: it is of another space.
    fn number(&self, py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let Some(handle) = handle_of(object) else {
            return Err(PyTypeError::new_err("expected a courtyard object"));
        };
        let _open = handle.open(py)?;
        if !std::ptr::eq(self.space, handle.space) {
            if self.foreign == Foreign::Ticketed {
                return Ok(None);
            }
            let (here, there) = (shown(py, self.space)?, shown(py, handle.space)?);
            let another = if here == there { "another" } else { &*there };
            let what = format!(
                "a container can keep objects of its own space only: the container is in {here}, this \
                 object in {another}; make it in the container's, by a method (space.Queue()) or with \
                 a name (PriorityQueue.named(..., space=space)), where space is the container's \
                 `space`; or pass it as an argument"
            );
            return Err(named(py, "CourtyardError", what));
        }
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        room::push(&mut objects, handle.id())?;
        Ok(Some(objects.len() as u64 - 1))
    }
}

/// A space as a message names it.
fn shown(py: Python<'_>, space: &Space) -> PyResult<String> {
    let title = space.title().map_err(|error| raise(py, error))?;
    let url = match title {
        "" if space.kind() != DURABLE => return Ok("a private space".into()),
        "" => format!("file://{}", space.segment.path().display()),
        title => title.into(),
    };
    Ok(format!(
        "courtyard.Space({})",
        PyString::new(py, &url).repr()?
    ))
}

/// What a value's block has before its payload, and the objects that it is to keep.
pub struct LinkHeader {
    pub objects: Vec<ObjectId>,
    /// Whole lines.
    pub bytes: Vec<u8>,
}

/// Packs the handles of a value of this kind that is to be stored in a space.
///
/// # Errors
/// `CourtyardError` for an object of another space, if that is refused; `Closed`; what pickling them raises.
pub fn pack(
    py: Python<'_>,
    space: &'static Space,
    kind: u8,
    links: &[Py<PyAny>],
    foreign: Foreign,
) -> PyResult<LinkHeader> {
    policy::require(py)?;
    let list = room::collect(links.iter().map(|link| link.bind(py).clone()))?;
    let list = room::list(py, list)?;
    let objects = Arc::default();
    let outward = Outward {
        space,
        foreign,
        objects,
    };
    let pickled = Pickler::new(py, outward.clone(), None)?.dump(list.as_any())?;
    let pickled = pickled.as_bytes();
    let objects = std::mem::take(
        &mut *outward
            .objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    let words = [pickled.len() as u64, u64::from(kind)].map(u64::to_ne_bytes);
    let length = words.as_flattened().len() + pickled.len();
    let mut bytes = room::vector(length.next_multiple_of(LINE as usize))?;
    bytes.extend_from_slice(words.as_flattened());
    bytes.extend_from_slice(pickled);
    bytes.resize(length.next_multiple_of(LINE as usize), 0);
    Ok(LinkHeader { objects, bytes })
}

/// Decodes the payload of a block with links. Where nothing is unpickled, links to what is in a NestedDict are
/// known all the same. None: one of the objects is gone, since the value was
/// replaced after it was read; read it again.
///
/// # Errors
/// `CorruptError`; what unpickling raises.
pub fn unpack<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    source: impl Source,
    whose: Buffers,
    release: impl FnOnce(),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let length = source.length() as u64;
    let corrupt = || named(py, "CorruptError", "a value's links reach beyond it".into());
    let read = |from: u64, to: u64| {
        let (from, to) = (from as usize, to.min(length) as usize);
        let mut bytes = room::bytes(to.saturating_sub(from))?;
        source.copy(py, from, &mut bytes);
        Ok::<_, PyErr>(bytes)
    };
    let count = link::count(&read(0, LINE)?, length).map_err(|error| raise(py, error))?;
    let start = link::head(count);
    let head = read(0, start)?;
    let line = read(start, start + LINE)?;
    let word = |at: usize| {
        let bytes = line.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_ne_bytes).ok_or_else(corrupt)
    };
    let (pickled, inner) = (word(0)?, word(8)? as u8);
    let end = pickled.checked_add(16).filter(|&end| end <= length - start);
    let end = end.ok_or_else(corrupt)?;
    let main = start + align_up(end, LINE);
    if main > length || inner == LINKED {
        return Err(corrupt());
    }
    let is_looking = pickle::is_looking();
    if !is_looking {
        policy::require(py)?;
    }
    let pickled = read(start, start + end)?;
    let mut pending = PendingMembers {
        space,
        participant,
        members: room::vector(count as usize)?,
    };
    for object in link::links(&head) {
        match waiting(py, |wait| {
            directory::join(Caller::new(space, participant, wait), object)
        })? {
            Some(row) => pending.members.push(Some((object, row))), // for which there is room
            None => return Ok(None),
        }
    }
    release();
    let pickled = room::python_bytes(py, &pickled[16..])?.into_any();
    if is_looking {
        let module = py.import("courtyard._codec.loading")?;
        let links = importing(pending, || module.call_method1("nested", (&pickled,)))?;
        if links.is_none() {
            return pickle::opaque(py, source.length()).map(Some);
        }
        let links = listed(&links)?;
        return codec::decode(py, inner, Rest(source, main as usize), whose, &links).map(Some);
    }
    let value = failure::loading(&pickled, || {
        let loads = py.import("pickle")?.getattr("loads")?;
        let links = importing(pending, || loads.call1((&pickled,)));
        let links = listed(&links?)?;
        let main = main as usize;
        codec::decode(py, inner, Rest(source, main), whose, &links)
    });
    value.map(Some)
}

/// The objects of a list.
fn listed(list: &Bound<'_, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
    room::collect(list.cast::<PyList>()?.iter().map(Bound::unbind))
}

/// What lies behind the links, from a whole line on.
struct Rest<S>(S, usize);

impl<S: Source> Source for Rest<S> {
    fn length(&self) -> usize {
        self.0.length().saturating_sub(self.1)
    }

    fn private(&self) -> Option<&[u8]> {
        self.0.private()?.get(self.1..)
    }

    fn copy(&self, py: Python<'_>, offset: usize, to: &mut [u8]) {
        self.0.copy(py, self.1 + offset, to);
    }

    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: usize,
        length: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.view(py, self.1 + offset, length)
    }
}

/// Reads until what is read names no object that is gone.
///
/// # Errors
/// Those of `read`; `CorruptError` if that never ends.
pub fn again<T>(py: Python<'_>, mut read: impl FnMut() -> PyResult<Option<T>>) -> PyResult<T> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(found) = read()? {
            return Ok(found);
        }
    }
    Err(gone(py))
}

/// That an object is not kept by the value that is there.
pub fn gone(py: Python<'_>) -> PyErr {
    let what = "a stored value names a courtyard object that is gone";
    named(py, "CorruptError", what.into())
}
