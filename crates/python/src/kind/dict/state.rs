//! A table in use.

use crate::codec::identity::{self, Identity};
use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::object::{Address, Object, Use};
use crate::room;
use crate::thread::thread_writer;
use crate::value::reference::again;
use crate::value::stored::{self, with_buffer, with_new};
use courtyard_core::object::{self, Stored};
use courtyard_core::space::Space;
use courtyard_core::table::{self, End, Item, LENGTH, Pair, Pairs, Token, Want, When};
use courtyard_core::value::{NewValue, SHORT_MOST};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Keys among processes and threads: what `courtyard.Dict` and `courtyard.Set` have in common.
#[pyclass(frozen, subclass, extends = Object, module = "courtyard._native")]
pub struct Table;

/// A table in use.
#[derive(Clone, Copy)]
pub struct Opened<'a> {
    pub space: &'static Space,
    pub open: &'a Use<'a>,
    pub table: table::Table,
}

impl Opened<'_> {
    /// The value of a key, and which state of its shard that was.
    pub fn find<'py>(
        self,
        py: Python<'py>,
        identity: &Identity,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        self.find_key(py, &identity.key, Buffers::Own)
    }

    pub fn find_key<'py>(
        self,
        py: Python<'py>,
        key: &table::Key,
        whose: Buffers,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        let participant = self.open.participant;
        let read = |buffer: &mut Vec<u8>| {
            let (found, token) = self
                .open
                .waiting(py, |caller| table::find(caller, self.table, key, buffer))?;
            let Some(found) = found else {
                return Ok(Some((None, token)));
            };
            let value = stored::decode(py, self.space, participant, found, buffer, whose)?;
            Ok(value.map(|value| (Some(value), token)))
        };
        again(py, || with_buffer(read)).map_err(|error| {
            let (tag, bytes) = (key.tag, key.bytes);
            let key = || identity::decode(py, table::Key { tag, bytes }, None);
            failure::at_key(py, error, VALUE_OF, key)
        })
    }

    /// Stores a value; false: the condition does not hold.
    pub fn store(
        self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        identity: &Identity,
        value: &Bound<'_, PyAny>,
        when: When,
    ) -> PyResult<bool> {
        let original = identity::original(key, identity)?;
        let original = original
            .as_ref()
            .map(|(kind, bytes)| (*kind, bytes.as_slice()));
        let (space, participant, table) = (self.space, self.open.participant, self.table);
        let key = identity.key;
        let encoded = codec::encode(value, Links::Keep)?;
        let fast = |value: NewValue| {
            let item = Item {
                key,
                original,
                value,
            };
            // SAFETY: the GIL is held from before this call until after it.
            unsafe { table::store_fast(&space.segment, participant, table.object, &item, true) }
        };
        let done = match &encoded {
            _ if when != When::Always => false,
            Encoded::Word(word) => fast(NewValue::Word(*word)),
            Encoded::Block(block) if !block.links.is_empty() => false,
            Encoded::Block(block) => block.with_parts(|parts, length| {
                Ok(length <= SHORT_MOST && fast(NewValue::Bytes(block.kind, parts)))
            })?,
        };
        if done {
            return Ok(true);
        }
        with_new(py, self.open, encoded, |caller, value| {
            let item = Item {
                key,
                original,
                value,
            };
            table::store(caller, table, &item, when)
        })
    }

    pub fn contains(self, py: Python<'_>, identity: &Identity) -> PyResult<bool> {
        self.open.waiting(py, |caller| {
            let key = &identity.key;
            table::contains(caller, self.table, key)
        })
    }

    pub fn remove(self, py: Python<'_>, identity: &Identity, when: When) -> PyResult<bool> {
        self.open.waiting(py, |caller| {
            let key = &identity.key;
            table::remove(caller, self.table, key, when)
        })
    }

    /// All keys and values; None: again, one of them was replaced since.
    pub fn items<'py>(
        self,
        py: Python<'py>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        self.items_of(py, &self.snapshot(py, Want::Items)?, begun)
    }

    pub fn items_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        self.list_of(py, pairs, begun, |pair, value| {
            room::pair(key_of(py, pair)?, value)
        })
    }

    /// As `items`, the values alone.
    pub fn values<'py>(
        self,
        py: Python<'py>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let pairs = self.snapshot(py, Want::Items)?;
        self.list_of(py, &pairs, begun, |_, value| Ok(value))
    }

    pub fn list_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
        item: impl Fn(&Pair, Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut items = room::vector(pairs.len())?;
        let is_whole = self.each_of(py, pairs, begun, |pair, value| {
            items.push(item(pair, value)?);
            Ok(())
        })?;
        is_whole.then(|| room::list(py, items)).transpose()
    }

    /// All keys and values in a plain dict; None: as of `items`.
    pub fn dict<'py>(self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let pairs = self.snapshot(py, Want::Items)?;
        let dict = room::dict(py)?;
        let is_whole = self.each_of(py, &pairs, None, |pair, value| {
            dict.set_item(key_of(py, pair)?, value)
        })?;
        Ok(is_whole.then_some(dict))
    }

    /// All keys and values, each in a list of its own; None: as of `items`.
    pub fn columns(self, py: Python<'_>) -> PyResult<Option<Columns>> {
        let pairs = self.snapshot(py, Want::Items)?;
        let mut keys = room::vector(pairs.len())?;
        let mut values = room::vector(pairs.len())?;
        let is_whole = self.each_of(py, &pairs, None, |pair, value| {
            keys.push(key_of(py, pair)?.unbind());
            values.push(value.unbind());
            Ok(())
        })?;
        Ok(is_whole.then_some((keys, values)))
    }

    /// Hands over the keys and values; false: one of them was replaced since.
    pub fn each_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
        mut take: impl FnMut(&Pair, Bound<'py, PyAny>) -> PyResult<()>,
    ) -> PyResult<bool> {
        for pair in pairs.iter().filter(|pair| is_left(pair, begun)) {
            let copied = pair.value.unwrap_or(Stored::Word(codec::NONE));
            let participant = self.open.participant;
            let value = stored::decode_copied(py, self.space, participant, copied);
            let value = value
                .map_err(|error| failure::at_key(py, error, VALUE_OF, || key_of(py, &pair)))?;
            let Some(value) = value else {
                return Ok(false);
            };
            take(&pair, value)?;
        }
        Ok(true)
    }

    /// The entry at an end, and what `is_left` then takes.
    pub fn first(self, py: Python<'_>, want: Want, end: End) -> PyResult<(Pairs, (i64, i64))> {
        let (pairs, newest) = self
            .open
            .waiting(py, |caller| table::first(caller, self.table, want, end))?;
        let stamp = pairs.iter().next().map_or(newest, |pair| pair.stamp);
        Ok((pairs, (newest, stamp)))
    }

    pub fn snapshot(self, py: Python<'_>, want: Want) -> PyResult<Pairs> {
        self.open
            .waiting(py, |caller| table::snapshot(caller, self.table, want))
    }
}

/// Keys, and their values.
pub type Columns = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

/// How messages begin to name a value.
pub const VALUE_OF: &str = "the value of key";

/// Runs `work` on the table, which stays open meanwhile.
pub fn opened<T>(
    slf: &Bound<'_, Table>,
    work: impl FnOnce(Opened<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open(slf.py())?;
    let done = work(Opened {
        space: handle.space,
        open: &open,
        table: thread_writer(handle.object),
    });
    done.map_err(|error| failure::of(slf, error))
}

pub fn key_of<'py>(py: Python<'py>, pair: &Pair) -> PyResult<Bound<'py, PyAny>> {
    let (tag, bytes) = (pair.tag, pair.key);
    let key = identity::decode(py, table::Key { tag, bytes }, pair.original);
    key.map_err(|error| failure::at(py, error, "a key"))
}

/// Whether an entry is left to be gone over, where that has begun: it was there by then, and is not
/// the one that was given, which had that stamp.
pub fn is_left(pair: &Pair, begun: Option<(i64, i64)>) -> bool {
    begun.is_none_or(|(newest, given)| pair.stamp <= newest && pair.stamp != given)
}

pub fn end(last: bool) -> End {
    if last { End::Last } else { End::First }
}

/// What is raised for a key that is not there.
pub fn absent(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

impl Table {
    pub fn make(py: Python<'_>, address: Option<&Address>) -> PyResult<PyClassInitializer<Table>> {
        let base = Object::make(py, object::TABLE, LENGTH, address, |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Table))
    }
}

/// Keys and values among processes and threads. `courtyard.Dict` is what programs use.
#[pyclass(frozen, subclass, extends = Table, module = "courtyard._native")]
pub struct Dict;
