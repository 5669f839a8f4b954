//! `Table`: the native part of `courtyard.Dict` and its kin.

mod slot;
mod update;

pub use slot::install;

use crate::codec::{self, Encoded, Links};
use crate::error::waiting;
use crate::guard::{self, CellLock, Owner, thread_writer};
use crate::handle::{Address, Use};
use crate::identity::{self, Identity, with_key};
use crate::primitive::Primitive;
use crate::reference::again;
use crate::value::{self, with_buffer, with_fresh};
use crate::waiter::Deadline;
use courtyard_core::cell;
use courtyard_core::lock;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Item, LENGTH, Pair, Token, Want, When};
use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// Keys and values among processes and threads. `courtyard.Dict` is what programs use.
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
        let participant = self.open.participant;
        let read = |buffer: &mut Vec<u8>| {
            let (found, token) = waiting(py, |patience| {
                let key = &identity.key;
                table::find(self.space, participant, patience, self.table, key, buffer)
            })?;
            let Some(found) = found else {
                return Ok(Some((None, token)));
            };
            let value = value::decode(py, self.space, participant, found, buffer)?;
            Ok(value.map(|value| (Some(value), token)))
        };
        again(py, || with_buffer(read))
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
        if let Encoded::Word(word) = encoded
            && when == When::Always
            // SAFETY: the GIL is held from before this call until after it.
            && unsafe { table::store_alone(&space.segment, participant, table, &key, word) }
        {
            return Ok(true);
        }
        with_fresh(py, space, participant, encoded, |patience, value| {
            let item = Item {
                key,
                original,
                value,
            };
            table::store(space, participant, patience, table, &item, when)
        })
    }

    fn remove(self, py: Python<'_>, identity: &Identity, when: When) -> PyResult<bool> {
        waiting(py, |patience| {
            let (participant, key) = (self.open.participant, &identity.key);
            table::remove(self.space, participant, patience, self.table, key, when)
        })
    }

    /// All keys and values; None: again, one of them was replaced since.
    fn items<'py>(self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let items = PyList::empty(py);
        for pair in self.snapshot(py, Want::Items)? {
            let copied = pair.value.as_ref().unwrap_or(&Ok(codec::NONE));
            let participant = self.open.participant;
            let Some(value) = value::decode_copied(py, self.space, participant, copied)? else {
                return Ok(None);
            };
            items.append((key_of(py, &pair)?, value))?;
        }
        Ok(Some(items))
    }

    fn snapshot(self, py: Python<'_>, want: Want) -> PyResult<Vec<Pair>> {
        waiting(py, |patience| {
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

/// Runs `work` on the table, which stays open meanwhile.
fn opened<T>(slf: &Bound<'_, Table>, work: impl FnOnce(Opened<'_>) -> PyResult<T>) -> PyResult<T> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open(slf.py())?;
    work(Opened {
        space: handle.space,
        open: &open,
        table: thread_writer(handle.cell),
    })
}

fn key_of<'py>(py: Python<'py>, pair: &Pair) -> PyResult<Bound<'py, PyAny>> {
    let (tag, bytes) = (pair.tag, pair.key.as_slice());
    let original = pair.original.as_ref();
    let original = original.map(|(kind, bytes)| (*kind, bytes.as_slice()));
    identity::decode(py, table::Key { tag, bytes }, original)
}

/// What a missing key comes to: the class's `__missing__`, or KeyError.
fn missing<'py>(slf: &Bound<'py, Table>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let class = slf.get_type();
    if class.hasattr(intern!(py, "__missing__"))? {
        return slf.call_method1(intern!(py, "__missing__"), (key,));
    }
    Err(PyKeyError::new_err((key.clone().unbind(),)))
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Table>> {
        let base = Primitive::make(py, cell::TABLE, LENGTH, address.as_ref(), |_, _| {})?;
        Ok(PyClassInitializer::from(base).add_subclass(Table))
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
            Ok(table::count(&this.space.segment, this.table.cell) as usize)
        })
    }

    fn __contains__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        opened(slf, |this| {
            with_key(key, |identity| {
                waiting(slf.py(), |patience| {
                    let (participant, key) = (this.open.participant, &identity.key);
                    table::contains(this.space, participant, patience, this.table, key)
                })
            })
        })
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let found = opened(slf, |this| {
            with_key(key, |identity| Ok(this.find(py, &identity)?.0))
        })?;
        found.map_or_else(|| missing(slf, key), Ok)
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        opened(slf, |this| {
            with_key(key, |identity| {
                this.store(slf.py(), key, &identity, value, When::Always)
            })
        })
        .map(drop)
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let removed = opened(slf, |this| {
            with_key(key, |identity| {
                this.remove(slf.py(), &identity, When::Always)
            })
        })?;
        if removed {
            Ok(())
        } else {
            Err(PyKeyError::new_err((key.clone().unbind(),)))
        }
    }

    /// Return the value of a key, or default.
    ///
    /// The value is a copy. Never waits for a lock.
    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let found = opened(slf, |this| {
            with_key(key, |identity| Ok(this.find(py, &identity)?.0))
        })?;
        Ok(found
            .or(default)
            .unwrap_or_else(|| py.None().into_bound(py)))
    }

    /// Return the value of a key; store default there first if there is none. Atomic.
    #[pyo3(signature = (key, default=None, /))]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let default = default.unwrap_or_else(|| py.None().into_bound(py));
        opened(slf, |this| {
            with_key(key, |identity| {
                loop {
                    if let Some(value) = this.find(py, &identity)?.0 {
                        return Ok(value);
                    }
                    if this.store(py, key, &identity, &default, When::Absent)? {
                        return Ok(default.clone());
                    }
                }
            })
        })
    }

    /// Remove a key and return its value, or default if there is none. Atomic.
    ///
    /// Raises KeyError if there is neither.
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if default.len() > 1 {
            let count = default.len() + 1;
            let message = format!("pop expected at most 2 arguments, got {count}");
            return Err(pyo3::exceptions::PyTypeError::new_err(message));
        }
        let taken = opened(slf, |this| {
            with_key(key, |identity| {
                let participant = this.open.participant;
                let taken = waiting(py, |patience| {
                    table::take(this.space, participant, patience, this.table, &identity.key)
                })?;
                let decode = |taken| value::decode_taken(py, this.space, participant, taken);
                taken.map(decode).transpose()
            })
        })?;
        match taken {
            Some(value) => Ok(value),
            None if default.len() == 1 => default.get_item(0),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    /// Remove the key that was put in last; return it and its value. Atomic.
    ///
    /// Raises KeyError if there is none.
    fn popitem<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = slf.py();
        let empty = || PyKeyError::new_err("popitem(): dictionary is empty");
        opened(slf, |this| {
            let participant = this.open.participant;
            let popped = waiting(py, |patience| {
                table::pop_last(this.space, participant, patience, this.table)
            })?;
            let ((tag, bytes), original, taken) = popped.ok_or_else(empty)?;
            let value = value::decode_taken(py, this.space, participant, taken)?;
            let original = original
                .as_ref()
                .map(|(kind, bytes)| (*kind, bytes.as_slice()));
            let bytes = bytes.as_slice();
            Ok((
                identity::decode(py, table::Key { tag, bytes }, original)?,
                value,
            ))
        })
    }

    /// Remove all keys, at once.
    ///
    /// Their memory is free again when it returns, or, if this process is killed meanwhile, when
    /// another next looks after the dead.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        opened(slf, |this| {
            waiting(slf.py(), |patience| {
                table::clear(this.space, this.open.participant, patience, this.table)
            })
        })
    }

    /// All keys, in their order of insertion, as they stood at one moment.
    fn _keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let pairs = opened(slf, |this| this.snapshot(py, Want::Keys))?;
        let keys: PyResult<Vec<_>> = pairs.iter().map(|pair| key_of(py, pair)).collect();
        PyList::new(py, keys?)
    }

    /// All keys and values, in their order of insertion, as they stood at one moment.
    fn _items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        opened(slf, |this| again(py, || this.items(py)))
    }

    /// Takes keys out and stores pairs, at once.
    fn _change_all(
        slf: &Bound<'_, Self>,
        pairs: &Bound<'_, PyList>,
        gone: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        opened(slf, |this| update::change_all(this, pairs, gone))
    }

    /// The values of those of the keys that there are, as they stood at one moment: as pairs.
    fn _find_all<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        let pairs = opened(slf, |this| update::find_all(this, slf, keys))?;
        PyList::new(slf.py(), pairs)
    }

    /// Adds to the values of many keys, at once: pairs of a key and what to add.
    fn _add_all(slf: &Bound<'_, Self>, pairs: &Bound<'_, PyList>) -> PyResult<()> {
        update::exclusively(slf, || opened(slf, |this| update::add_all(this, pairs)))
    }

    /// Add n to the value of a key atomically and return the new value.
    ///
    /// A missing key counts as default. Any value that `+` takes will do. Waits while another holds get_lock().
    ///
    /// Raises what the addition raises; then nothing has changed.
    #[pyo3(signature = (key, n=None, default=None))]
    fn increment<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        n: Option<Bound<'py, PyAny>>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let number = |n: i32| n.into_pyobject(py).map(Bound::into_any);
        let n = n.map_or_else(|| number(1), Ok)?;
        let default = default.map_or_else(|| number(0), Ok)?;
        let mut sum = None;
        update::update(slf, key, |value| {
            let new = value.unwrap_or_else(|| default.clone()).add(&n)?;
            sum = Some(new.clone());
            Ok(Some(new))
        })?;
        sum.ok_or_else(|| PyKeyError::new_err((key.clone().unbind(),)))
    }

    /// Store a new value under a key if its value equals what is expected; return whether it did.
    ///
    /// A missing key equals nothing. Atomic; raises what the comparison raises.
    fn compare_exchange<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        expected: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        let mut equal = false;
        update::update(slf, key, |value| {
            equal = match value {
                Some(value) => codec::equal(&value, expected)?,
                None => false,
            };
            Ok(equal.then(|| new.clone()))
        })?;
        if !equal {
            // What cannot be stored is refused in any case.
            codec::encode(new, Links::Keep)?;
        }
        Ok(equal)
    }

    /// Replace the value of a key by fn(value) and return that; a missing key has the default.
    ///
    /// Atomic: fn is called again if another changed the value meanwhile, with nothing held. So it
    /// should have no other effects.
    ///
    /// Raises KeyError if there is neither value nor default; what fn raises changes nothing.
    #[pyo3(signature = (key, r#fn, *default), text_signature = "($self, key, fn, default=<none>)")]
    fn mutate<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        r#fn: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let count = default.len() + 2;
            let message = format!("mutate expected at most 3 arguments, got {count}");
            return Err(pyo3::exceptions::PyTypeError::new_err(message));
        }
        let mut made = None;
        update::update(slf, key, |value| {
            let value = match value {
                Some(value) => value,
                None if default.len() == 1 => default.get_item(0)?,
                None => return Err(PyKeyError::new_err((key.clone().unbind(),))),
            };
            let new = r#fn.call1((value,))?;
            made = Some(new.clone());
            Ok(Some(new))
        })?;
        made.ok_or_else(|| PyKeyError::new_err((key.clone().unbind(),)))
    }

    /// Return the lock that keeps others from writing: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done.
    fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
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
        waiting(py, |patience| {
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
