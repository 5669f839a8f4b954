//! Courtyard objects kept by stored values: a list of handles, pickled beside the value, whose
//! addresses are numbers among the links that the value's block holds (`courtyard_core::link`).
//!
//! | what a block with links holds behind them | |
//! | ------------------------------------------ | -------------------------------------- |
//! | a word                                     | the length of the pickled list          |
//! | a word                                     | the codec's kind of the value           |
//! | bytes, up to the end of a line             | the pickled list                        |
//! | bytes                                      | the value's payload                     |

use crate::codec::{self, Source, pickle, settle};
use crate::error::{named, raise, waiting};
use crate::handle::{Address, Handle};
use crate::process;
use crate::trust;
use courtyard_core::directory;
use courtyard_core::layout::{LINE, align_up, kind};
use courtyard_core::link;
use courtyard_core::participant::Participant;
use courtyard_core::roster::ObjectId;
use courtyard_core::space::Space;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::cell::RefCell;

/// The kind of such a block.
pub const LINKED: u8 = kind::LINKED as u8;

/// How often a value is read again whose objects are gone by the time they are opened. Each time
/// somebody replaced it; this often nobody does.
const PERSISTENCE: u32 = 10_000;

/// What is under way in this thread.
enum Travel {
    /// A list of handles is pickled for a value in this space: the objects so far.
    Out(&'static Space, Vec<ObjectId>),
    /// One is loaded, from these memberships.
    In(Party),
    /// What happens meanwhile inside is another affair.
    Apart,
}

thread_local! {
    static TRAVELS: RefCell<Vec<Travel>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with this travel under way; what became of it, too.
fn under_way<T>(travel: Travel, work: impl FnOnce() -> T) -> (T, Travel) {
    TRAVELS.with_borrow_mut(|travels| travels.push(travel));
    let result = codec::not_storing(work);
    let ended = TRAVELS.with_borrow_mut(Vec::pop);
    (result, ended.unwrap_or(Travel::Apart))
}

/// Runs `work`, in which handles pickle themselves as elsewhere.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    under_way(Travel::Apart, work).0
}

/// Memberships of the objects that a value names, until handles take them over.
struct Party {
    space: &'static Space,
    participant: &'static Participant,
    members: Vec<Option<(ObjectId, u64)>>,
}

impl Drop for Party {
    fn drop(&mut self) {
        if !std::ptr::eq(self.space.registered(), self.participant) {
            return; // a forked child: they are its parent's
        }
        for (_, row) in self.members.drain(..).flatten() {
            directory::let_go(self.space, self.participant, row);
            process::look_back(self.space);
        }
    }
}

/// The address of a handle that is pickled for a stored value; None: it travels otherwise.
pub fn depart(py: Python<'_>, handle: &Handle) -> PyResult<Option<Address>> {
    let departed = TRAVELS.with_borrow_mut(|travels| {
        let Some(Travel::Out(space, objects)) = travels.last_mut() else {
            return Ok(None);
        };
        if !std::ptr::eq(*space, handle.space) {
            return Err(*space);
        }
        objects.push(handle.object());
        Ok(Some(objects.len() as u64 - 1))
    });
    match departed {
        Ok(number) => Ok(number.map(|number| (String::new(), 0, number, 0, 0, 0))),
        Err(space) => {
            let (here, there) = (space.segment.path(), handle.space.segment.path());
            let what = format!(
                "a container can keep objects of its own space only: this one is in {}, the container \
                 in {}; make it where the container is, or pass it as an argument",
                there.display(),
                here.display()
            );
            Err(named(py, "CourtyardError", what))
        }
    }
}

/// The object of an address of a stored value, and our membership, which is the caller's now.
///
/// # Errors
/// `CorruptError` if no value with such a link is being decoded.
pub fn arrive(
    py: Python<'_>,
    address: &Address,
) -> PyResult<(&'static Space, &'static Participant, ObjectId, u64)> {
    let number = address.2 as usize;
    let taken = TRAVELS.with_borrow_mut(|travels| {
        let Some(Travel::In(party)) = travels.last_mut() else {
            return None;
        };
        let (object, row) = party.members.get_mut(number)?.take()?;
        Some((party.space, party.participant, object, row))
    });
    taken.ok_or_else(|| {
        let what = format!("no stored value has a courtyard object of number {number} here");
        named(py, "CorruptError", what)
    })
}

/// What a value's block has before its payload, and the objects that it is to keep.
pub struct Luggage {
    pub objects: Vec<ObjectId>,
    /// Whole lines.
    pub bytes: Vec<u8>,
}

/// Packs the handles of a value of this kind that is to be stored in a space.
///
/// # Errors
/// `CourtyardError` for an object of another space; `Closed`; what pickling them raises.
pub fn pack(
    py: Python<'_>,
    space: &'static Space,
    kind: u8,
    links: &[Py<PyAny>],
) -> PyResult<Luggage> {
    trust::require(py)?;
    let list = PyList::new(py, links)?;
    let dumps = py.import("pickle")?.getattr("dumps")?;
    let travel = Travel::Out(space, Vec::new());
    let (pickled, travel) = under_way(travel, || dumps.call1((list, 5)));
    let pickled = pickled?;
    let pickled = pickled.cast::<PyBytes>()?.as_bytes();
    let objects = match travel {
        Travel::Out(_, objects) => objects,
        _ => Vec::new(),
    };
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(pickled.len() as u64).to_ne_bytes());
    bytes.extend_from_slice(&u64::from(kind).to_ne_bytes());
    bytes.extend_from_slice(pickled);
    bytes.resize(bytes.len().next_multiple_of(LINE as usize), 0);
    Ok(Luggage { objects, bytes })
}

/// Decodes the payload of a block with links. None: one of the objects is gone, since the value was
/// replaced after it was read; read it again.
///
/// # Errors
/// `CorruptError`; what unpickling raises.
pub fn unpack<'py>(
    py: Python<'py>,
    space: &'static Space,
    participant: &'static Participant,
    source: impl Source,
    release: impl FnOnce(),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if pickle::is_looking() {
        return pickle::opaque(py, source.length()).map(Some);
    }
    let length = source.length() as u64;
    let corrupt = || named(py, "CorruptError", "a value's links reach beyond it".into());
    let read = |from: u64, to: u64| {
        let (from, to) = (from as usize, to.min(length) as usize);
        settle(py, &source, from, to.saturating_sub(from)).into_owned()
    };
    let count = link::count(&read(0, LINE), length).map_err(|error| raise(py, error))?;
    let start = link::head(count);
    let head = read(0, start);
    let line = read(start, start + LINE);
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
    trust::require(py)?;
    let pickled = read(start, start + end);
    let mut party = Party {
        space,
        participant,
        members: Vec::new(),
    };
    for object in link::links(&head) {
        match waiting(py, |patience| {
            directory::join(space, participant, patience, object)
        })? {
            Some(row) => party.members.push(Some((object, row))),
            None => return Ok(None),
        }
    }
    release();
    let loads = py.import("pickle")?.getattr("loads")?;
    let pickled = PyBytes::new(py, &pickled[16..]);
    let (links, party) = under_way(Travel::In(party), || loads.call1((pickled,)));
    drop(party);
    let links: Vec<Py<PyAny>> = links?.extract()?;
    let main = main as usize;
    codec::decode(py, inner, Rest(source, main), &links).map(Some)
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
        is_writable: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.view(py, self.1 + offset, length, is_writable)
    }
}

/// Reads until what is read names no object that is gone.
///
/// # Errors
/// Those of `read`; `CorruptError` if that never ends.
pub fn again<T>(py: Python<'_>, mut read: impl FnMut() -> PyResult<Option<T>>) -> PyResult<T> {
    for _ in 0..PERSISTENCE {
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
