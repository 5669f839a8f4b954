//! A list or a deque in use.

use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::object::{Object, Use};
use crate::room;
use crate::thread::thread_writer;
use crate::value::reference::again;
use crate::value::stored::{self, may_take, with_buffer, with_new};
use courtyard_core::list::{self, End, Places, Token};
use courtyard_core::object::Stored;
use courtyard_core::space::Space;
use courtyard_core::value::Take;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// What lists and deques have in common.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Sequence;

/// Values in a row among processes and threads. `courtyard.List` is what programs use.
#[pyclass(frozen, subclass, extends = Sequence, module = "courtyard._native")]
pub struct List;

/// Values in a row, to be put in and taken out at both ends. `courtyard.Deque` is what programs use.
#[pyclass(frozen, subclass, extends = Sequence, module = "courtyard._native")]
pub struct Deque;

/// A list in use.
#[derive(Clone, Copy)]
pub struct Opened<'a> {
    pub space: &'static Space,
    pub open: &'a Use<'a>,
    pub list: list::List,
    /// What messages call it.
    pub is_deque: bool,
}

impl Opened<'_> {
    pub fn most(self) -> Option<u64> {
        list::most(&self.space.segment, self.list.object)
    }

    /// The element with that index, and which state of the list that was.
    pub fn get<'py>(
        self,
        py: Python<'py>,
        index: i64,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        let participant = self.open.participant;
        let read = |buffer: &mut Vec<u8>| {
            let (found, token) = self
                .open
                .waiting(py, |caller| list::get(caller, self.list, index, buffer))?;
            let Some(found) = found else {
                return Ok(Some((None, token)));
            };
            let value = stored::decode(py, self.space, participant, found, buffer, Buffers::Own)?;
            Ok(value.map(|value| (Some(value), token)))
        };
        again(py, || with_buffer(read)).map_err(|error| at_index(py, error, index))
    }

    pub fn look(self, py: Python<'_>) -> PyResult<Token> {
        self.open
            .waiting(py, |caller| list::look(caller, self.list))
    }

    pub fn snapshot(
        self,
        py: Python<'_>,
        choose: &dyn Fn(u64) -> Places,
    ) -> PyResult<(Vec<Stored>, Token)> {
        self.open
            .waiting(py, |caller| list::snapshot(caller, self.list, choose))
    }

    /// The elements that `choose` wants, as a plain list.
    pub fn values<'py>(
        self,
        py: Python<'py>,
        choose: &dyn Fn(u64) -> Places,
    ) -> PyResult<(Bound<'py, PyList>, Token)> {
        let places = std::cell::Cell::new(None);
        let noted = |length| {
            places.set(Some(choose(length)));
            choose(length)
        };
        let read = || {
            let (elements, token) = self.snapshot(py, &noted)?;
            let (space, participant) = (self.space, self.open.participant);
            let decode = |each: &Stored| {
                let copied = match each {
                    Stored::Word(word) => Stored::Word(*word),
                    Stored::Bytes(kind, bytes) => Stored::Bytes(*kind, bytes.as_slice()),
                };
                stored::decode_copied(py, space, participant, copied)
            };
            let mut values = room::vector(elements.len())?;
            let place = |at: usize| places.get().map_or(0, |places| places.at(at as u64));
            for (at, each) in elements.iter().enumerate() {
                let value = decode(each).map_err(|error| at_index(py, error, place(at)))?;
                let Some(value) = value else {
                    return Ok(None);
                };
                values.push(value);
            }
            Ok(Some((values, token)))
        };
        let (values, token) = again(py, read)?;
        Ok((room::list(py, values)?, token))
    }

    /// Puts a value at an end; with a token, false says that something changed since.
    pub fn push(
        self,
        py: Python<'_>,
        end: End,
        encoded: Encoded<'_, '_>,
        when: Option<Token>,
    ) -> PyResult<bool> {
        let list = self.list;
        with_new(py, self.open, encoded, |caller, value| {
            list::push(caller, list, end, &value, when)
        })
    }

    pub fn append(self, py: Python<'_>, end: End, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let encoded = codec::encode(value, Links::Keep)?;
        self.push(py, end, encoded, None).map(drop)
    }

    /// Takes the value at an end. One that is not to be taken first is loaded first, and then taken if
    /// nothing changed meanwhile; None: something did.
    pub fn pop<'py>(self, py: Python<'py>, end: End) -> PyResult<Option<Bound<'py, PyAny>>> {
        let participant = self.open.participant;
        let taken = self
            .open
            .waiting(py, |caller| list::pop_if(caller, self.list, end, may_take))?;
        match taken {
            Take::Taken(taken) => {
                stored::decode_taken(py, self.space, participant, taken).map(Some)
            }
            Take::Left => {
                let index = if end == End::First { 0 } else { -1 };
                let (value, token) = self.get(py, index)?;
                let is_taken = self
                    .open
                    .waiting(py, |caller| list::drop_end(caller, self.list, end, token))?;
                Ok(value.filter(|_| is_taken))
            }
            Take::Nothing if self.is_deque => Err(PyIndexError::new_err("pop from an empty deque")),
            Take::Nothing => Err(PyIndexError::new_err("pop from empty list")),
        }
    }

    pub fn out_of_range(self, what: &str) -> PyErr {
        match self.is_deque {
            true => PyIndexError::new_err("deque index out of range"),
            false => PyIndexError::new_err(format!("list {what} out of range")),
        }
    }
}

/// All elements, in their order.
pub fn all(count: u64) -> Places {
    Places {
        first: 0,
        step: 1,
        count,
    }
}

/// Runs `work` on the list, which stays open meanwhile.
pub fn opened<T>(
    slf: &Bound<'_, Sequence>,
    work: impl FnOnce(Opened<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open(slf.py())?;
    let done = work(Opened {
        space: handle.space,
        open: &open,
        list: thread_writer(handle.object),
        is_deque: slf.is_instance_of::<Deque>(),
    });
    done.map_err(|error| failure::of(slf, error))
}

/// Adds to a `LoadError` which value could not be loaded.
pub fn at_index<'py>(py: Python<'py>, error: PyErr, index: impl IntoPyObject<'py>) -> PyErr {
    failure::at_key(py, error, "the value at index", || {
        index.into_bound_py_any(py)
    })
}

/// How many elements there are.
///
/// # Errors
/// Those of the handle.
pub fn length(slf: &Bound<'_, Sequence>) -> PyResult<u64> {
    opened(slf, |this| {
        Ok(list::count(&this.space.segment, this.list.object))
    })
}
