//! `Table`: the native part of `courtyard.Dict` and its kin.

mod map;
mod merge;
mod slot;
mod update;

pub use map::Map;
pub use merge::begin_merge;
pub use slot::install;

use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::guard::{self, CellLock, Owner, thread_writer};
use crate::handle::{Address, Use};
use crate::identity::{self, Identity, with_key, with_known_key};
use crate::primitive::Primitive;
use crate::reference::again;
use crate::value::{self, with_buffer, with_fresh};
use crate::waiter::Deadline;
use courtyard_core::cell;
use courtyard_core::lock;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, End, Item, LENGTH, Pair, Pairs, Token, Want, When};
use courtyard_core::value::{Fresh, SHORT_MOST};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Keys among processes and threads: what `courtyard.Dict` and `courtyard.Set` have in common.
#[pyclass(frozen, subclass, extends = Primitive, module = "courtyard._native")]
pub struct Table;

/// A table in use.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    space: &'static Space,
    open: &'a Use<'a>,
    table: table::Table,
}

impl Opened<'_> {
    /// The value of a key, and which state of its shard that was.
    fn find<'py>(
        self,
        py: Python<'py>,
        identity: &Identity,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        self.find_key(py, &identity.key, Buffers::Own)
    }

    fn find_key<'py>(
        self,
        py: Python<'py>,
        key: &table::Key,
        whose: Buffers,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        let participant = self.open.participant;
        let read = |buffer: &mut Vec<u8>| {
            let (found, token) = self.open.handle.waiting(py, |patience| {
                table::find(self.space, participant, patience, self.table, key, buffer)
            })?;
            let Some(found) = found else {
                return Ok(Some((None, token)));
            };
            let value = value::decode(py, self.space, participant, found, buffer, whose)?;
            Ok(value.map(|value| (Some(value), token)))
        };
        again(py, || with_buffer(read)).map_err(|error| {
            let (tag, bytes) = (key.tag, key.bytes);
            let key = || identity::decode(py, table::Key { tag, bytes }, None);
            failure::at_key(py, error, VALUE_OF, key)
        })
    }

    /// Stores a value; false: the condition does not hold.
    fn store(
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
        let alone = |value: &Fresh| {
            // SAFETY: the GIL is held from before this call until after it.
            unsafe { table::store_alone(&space.segment, participant, table.cell, &key, value) }
        };
        let done = match &encoded {
            _ if when != When::Always => false,
            Encoded::Word(word) => alone(&Fresh::Word(*word)),
            Encoded::Block(block) if !block.links.is_empty() => false,
            Encoded::Block(block) => block.with_parts(|parts, length| {
                length <= SHORT_MOST && alone(&Fresh::Bytes(block.kind, parts))
            }),
        };
        if done {
            return Ok(true);
        }
        with_fresh(py, self.open, encoded, |patience, value| {
            let item = Item {
                key,
                original,
                value,
            };
            table::store(space, participant, patience, table, &item, when)
        })
    }

    fn contains(self, py: Python<'_>, identity: &Identity) -> PyResult<bool> {
        self.open.handle.waiting(py, |patience| {
            let (participant, key) = (self.open.participant, &identity.key);
            table::contains(self.space, participant, patience, self.table, key)
        })
    }

    fn remove(self, py: Python<'_>, identity: &Identity, when: When) -> PyResult<bool> {
        self.open.handle.waiting(py, |patience| {
            let (participant, key) = (self.open.participant, &identity.key);
            table::remove(self.space, participant, patience, self.table, key, when)
        })
    }

    /// All keys and values; None: again, one of them was replaced since.
    fn items<'py>(
        self,
        py: Python<'py>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        self.items_of(py, &self.snapshot(py, Want::Items)?, begun)
    }

    fn items_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        self.list_of(py, pairs, begun, |pair, value| {
            let item = (key_of(py, pair)?, value);
            Ok(item.into_pyobject(py)?.into_any())
        })
    }

    /// As `items`, the values alone.
    fn values<'py>(
        self,
        py: Python<'py>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let pairs = self.snapshot(py, Want::Items)?;
        self.list_of(py, &pairs, begun, |_, value| Ok(value))
    }

    fn list_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
        item: impl Fn(&Pair, Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut items = Vec::with_capacity(pairs.len());
        let is_whole = self.each_of(py, pairs, begun, |pair, value| {
            items.push(item(pair, value)?);
            Ok(())
        })?;
        is_whole.then(|| PyList::new(py, items)).transpose()
    }

    /// All keys and values in a plain dict; None: as of `items`.
    fn dict<'py>(self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let pairs = self.snapshot(py, Want::Items)?;
        let dict = PyDict::new(py);
        let is_whole = self.each_of(py, &pairs, None, |pair, value| {
            dict.set_item(key_of(py, pair)?, value)
        })?;
        Ok(is_whole.then_some(dict))
    }

    /// All keys and values, each in a list of its own; None: as of `items`.
    fn columns(self, py: Python<'_>) -> PyResult<Option<Columns>> {
        let pairs = self.snapshot(py, Want::Items)?;
        let mut keys = Vec::with_capacity(pairs.len());
        let mut values = Vec::with_capacity(pairs.len());
        let is_whole = self.each_of(py, &pairs, None, |pair, value| {
            keys.push(key_of(py, pair)?.unbind());
            values.push(value.unbind());
            Ok(())
        })?;
        Ok(is_whole.then_some((keys, values)))
    }

    /// Hands over the keys and values; false: one of them was replaced since.
    fn each_of<'py>(
        self,
        py: Python<'py>,
        pairs: &Pairs,
        begun: Option<(i64, i64)>,
        mut take: impl FnMut(&Pair, Bound<'py, PyAny>) -> PyResult<()>,
    ) -> PyResult<bool> {
        for pair in pairs.iter().filter(|pair| is_left(pair, begun)) {
            let copied = pair.value.unwrap_or(Ok(codec::NONE));
            let participant = self.open.participant;
            let value = value::decode_copied(py, self.space, participant, copied);
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
    fn first(self, py: Python<'_>, want: Want, end: End) -> PyResult<(Pairs, (i64, i64))> {
        let (pairs, newest) = self.open.handle.waiting(py, |patience| {
            let participant = self.open.participant;
            table::first(self.space, participant, patience, self.table, want, end)
        })?;
        let stamp = pairs.iter().next().map_or(newest, |pair| pair.stamp);
        Ok((pairs, (newest, stamp)))
    }

    fn snapshot(self, py: Python<'_>, want: Want) -> PyResult<Pairs> {
        self.open.handle.waiting(py, |patience| {
            table::snapshot(
                self.space,
                self.open.participant,
                patience,
                self.table,
                want,
            )
        })
    }
}

/// Keys, and their values.
type Columns = (Vec<Py<PyAny>>, Vec<Py<PyAny>>);

/// How messages begin to name a value.
const VALUE_OF: &str = "the value of key";

/// Runs `work` on the table, which stays open meanwhile.
fn opened<T>(slf: &Bound<'_, Table>, work: impl FnOnce(Opened<'_>) -> PyResult<T>) -> PyResult<T> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open(slf.py())?;
    let done = work(Opened {
        space: handle.space,
        open: &open,
        table: thread_writer(handle.cell),
    });
    done.map_err(|error| failure::of(slf, error))
}

fn key_of<'py>(py: Python<'py>, pair: &Pair) -> PyResult<Bound<'py, PyAny>> {
    let (tag, bytes) = (pair.tag, pair.key);
    let key = identity::decode(py, table::Key { tag, bytes }, pair.original);
    key.map_err(|error| failure::at(py, error, "a key"))
}

/// Whether an entry is left to be gone over, where that has begun: it was there by then, and is not
/// the one that was given, which had that stamp.
fn is_left(pair: &Pair, begun: Option<(i64, i64)>) -> bool {
    begun.is_none_or(|(newest, given)| pair.stamp <= newest && pair.stamp != given)
}

fn end(last: bool) -> End {
    if last { End::Last } else { End::First }
}

/// What is raised for a key that is not there.
fn absent(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}

impl Table {
    fn make(py: Python<'_>, address: Option<&Address>) -> PyResult<PyClassInitializer<Table>> {
        let base = Primitive::make(py, cell::TABLE, LENGTH, address, |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Table))
    }
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Table>> {
        Table::make(py, address.as_ref())
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((cls, item))
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        opened(slf, |this| {
            let count = this.open.handle.waiting(slf.py(), |patience| {
                table::length(this.space, this.open.participant, patience, this.table)
            })?;
            Ok(count as usize)
        })
    }

    fn __contains__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        opened(slf, |this| {
            with_known_key(key, |identity| this.contains(slf.py(), &identity))
        })
        .map(|known| known == Some(true))
    }

    /// Remove all keys, at once; O(length).
    ///
    /// Others see all keys, or none. Waits while another holds get_lock(). Their memory is free again
    /// when it returns, or, if this process is killed meanwhile, when another next looks after the
    /// dead.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1)
    /// >>> d.clear(); len(d)
    /// 0
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        opened(slf, |this| {
            this.open.handle.waiting(slf.py(), |patience| {
                table::clear(this.space, this.open.participant, patience, this.table)
            })
        })
    }

    /// Puts a key in, of the value None, unless it is there.
    fn _put(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        opened(slf, |this| {
            with_key(key, |identity| {
                if !this.contains(py, &identity)? {
                    let none = py.None().into_bound(py);
                    this.store(py, key, &identity, &none, When::Absent)?;
                }
                Ok(())
            })
        })
    }

    /// Takes a key out; whether it was there.
    fn _remove(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        opened(slf, |this| {
            with_known_key(key, |identity| {
                this.remove(slf.py(), &identity, When::Always)
            })
        })
        .map(|removed| removed == Some(true))
    }

    /// Takes out the key that was put in last. Raises KeyError if there is none.
    fn _pop_last<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let popped = update::pop_end(slf, End::Last)?.map(|(key, _)| key);
        popped.ok_or_else(|| PyKeyError::new_err("pop from an empty set"))
    }

    /// All keys, in their order of insertion, as they stood at one moment; or, with what _first_key
    /// gave, those of them that were there by then, without that one.
    #[pyo3(signature = (begun=None, /))]
    fn _keys<'py>(
        slf: &Bound<'py, Self>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        opened(slf, |this| {
            let pairs = this.snapshot(py, Want::Keys)?;
            let mut keys = Vec::with_capacity(pairs.len());
            for pair in pairs.iter().filter(|pair| is_left(pair, begun)) {
                keys.push(key_of(py, &pair)?);
            }
            PyList::new(py, keys)
        })
    }

    /// The key at an end, in a list; what _keys then takes.
    fn _first_key<'py>(
        slf: &Bound<'py, Self>,
        last: bool,
    ) -> PyResult<(Bound<'py, PyList>, (i64, i64))> {
        let py = slf.py();
        opened(slf, |this| {
            let (pairs, begun) = this.first(py, Want::Keys, end(last))?;
            let keys: PyResult<Vec<_>> = pairs.iter().map(|pair| key_of(py, &pair)).collect();
            Ok((PyList::new(py, keys?)?, begun))
        })
    }

    /// Takes keys out and stores the pairs of a dict, at once.
    fn _change_all(
        slf: &Bound<'_, Self>,
        pairs: &Bound<'_, PyDict>,
        gone: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        opened(slf, |this| update::change_all(this, pairs, gone))
    }

    /// Return the lock that keeps others from writing: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done. `lock.recovered` is true if the last
    /// holder died with it, half way through what it had to do.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1, b=2)
    /// >>> with d.get_lock():
    /// ...     d["a"], d["b"] = d["b"], d["a"]
    pub(super) fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
        CellLock::new(Owner::Table(slf.clone().unbind()))
    }
}

/// Acquires the table's lock, and waits until no earlier change is under way.
pub fn acquire(slf: &Bound<'_, Table>, deadline: Option<Deadline>) -> PyResult<bool> {
    let py = slf.py();
    let handle = &slf.as_super().get().handle;
    if !guard::acquire(py, handle, deadline)? {
        return Ok(false);
    }
    let quiet = handle.open(py).and_then(|open| {
        handle.waiting(py, |patience| {
            table::quiesce(handle.space, &open, patience, handle.cell)
        })
    });
    if let Err(error) = quiet {
        let _ = release(slf);
        return Err(error);
    }
    Ok(true)
}

/// Releases the table's lock. Writers that wait for it do not take it, so all of them are woken: none
/// would wake the next.
pub fn release(slf: &Bound<'_, Table>) -> PyResult<()> {
    let handle = &slf.as_super().get().handle;
    let segment = &handle.space.segment;
    let word = segment.word(handle.cell).load(Ordering::Relaxed);
    guard::release(slf.py(), handle)?;
    if word & lock::WAITERS != 0 {
        segment.wake(handle.cell, u32::MAX);
    }
    Ok(())
}
