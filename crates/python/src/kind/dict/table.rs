//! `Table`: what `courtyard.Dict` and `courtyard.Set` have in common.

use super::lock::LOCK;
use super::state::{Table, end, is_left, key_of, opened};
use super::update;
use super::watch::{self, Watch};
use crate::codec::identity::{with_key, with_known_key};
use crate::object::{Address, ObjectLock};
use crate::room;
use courtyard_core::table::{self, End, Want, When};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

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
            let count = this
                .open
                .waiting(slf.py(), |caller| table::length(caller, this.table))?;
            Ok(count as usize)
        })
    }

    pub fn __contains__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        opened(slf, |this| {
            with_known_key(key, |identity| this.contains(slf.py(), &identity))
        })
        .map(|known| known == Some(true))
    }

    /// Remove all keys in one change; O(length).
    ///
    /// Others see all keys, or none. Waits while another holds get_lock(). Their memory is free
    /// again when it returns, or, if this process is killed meanwhile, when another process next
    /// recovers the dead.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1)
    /// >>> d.clear(); len(d)
    /// 0
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        opened(slf, |this| {
            this.open
                .waiting(slf.py(), |caller| table::clear(caller, this.table))
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

    /// All keys, in their order of insertion, as they were at one moment; or, with what _first_key
    /// gave, those of them that were there by then, without that one.
    #[pyo3(signature = (begun=None, /))]
    fn _keys<'py>(
        slf: &Bound<'py, Self>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        opened(slf, |this| {
            let pairs = this.snapshot(py, Want::Keys)?;
            let mut keys = room::vector(pairs.len())?;
            for pair in pairs.iter().filter(|pair| is_left(pair, begun)) {
                keys.push(key_of(py, &pair)?);
            }
            room::list(py, keys)
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
            let keys = room::try_collect(pairs.iter(), |pair| key_of(py, &pair))?;
            Ok((room::list(py, keys)?, begun))
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

    /// Begins to follow the keys, or those in a list; and a dict of what there is of them.
    fn _watch<'py>(
        slf: &Bound<'py, Self>,
        keys: Option<&Bound<'py, PyList>>,
    ) -> PyResult<(Watch, Bound<'py, PyDict>)> {
        watch::begin(slf, keys)
    }

    /// Return the lock that keeps others from writing: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done. `lock.recovered` is true if the last
    /// holder died while it held the lock: its changes may be half done.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1, b=2)
    /// >>> with d.get_lock():
    /// ...     d["a"], d["b"] = d["b"], d["a"]
    pub(super) fn get_lock(slf: &Bound<'_, Self>) -> ObjectLock {
        ObjectLock::new(slf.as_super(), &LOCK)
    }
}
