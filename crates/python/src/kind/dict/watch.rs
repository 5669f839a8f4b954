//! `Watch`: who follows the keys of a table.

use super::state::{Opened, Table, VALUE_OF, key_of, opened};
use crate::codec::failure;
use crate::codec::identity::{self, with_key};
use crate::error::LONG;
use crate::room;
use crate::value::reference::again;
use crate::value::stored;
use courtyard_core::object::Stored;
use courtyard_core::table::{self, Change, Key};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::sync::{Mutex, PoisonError};

/// Follows the keys of a table: `_watch` makes it. `courtyard.Watch` is what programs use.
#[pyclass(frozen, module = "courtyard._native")]
pub struct Watch {
    table: Py<Table>,
    /// None: a thread is looking.
    watch: Mutex<Option<table::Watch>>,
}

/// A key, and its value, unless it was removed.
type Changed<'py> = Vec<Bound<'py, PyAny>>;

#[pymethods]
impl Watch {
    /// Whether there is something to take.
    fn look(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(mut watch) = self.swap(None) else {
            return Ok(false);
        };
        let found = opened(self.table.bind(py), |this| {
            // Other threads run while much is compared.
            let bytes = match watch.is_long(&this.space.segment, this.table) {
                true => LONG,
                false => 0,
            };
            this.open
                .copying(py, bytes, |caller| watch.look(caller, this.table))
        });
        self.swap(Some(watch));
        found
    }

    /// Take the next change that was found: a key, and its value unless it was removed; None if there is none.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Changed<'py>>> {
        loop {
            let Some(mut watch) = self.swap(None) else {
                return Ok(None);
            };
            let change = watch.take();
            self.swap(Some(watch));
            let Some(change) = change else {
                return Ok(None);
            };
            let taken = opened(self.table.bind(py), |this| decoded(py, this, &change))?;
            if taken.is_some() {
                return Ok(taken);
            } // else it names an object that is gone: the key has changed again
        }
    }
}

impl Watch {
    fn swap(&self, watch: Option<table::Watch>) -> Option<table::Watch> {
        let mut held = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match watch {
            None => held.take(),
            some => std::mem::replace(&mut held, some),
        }
    }
}

/// Begins to follow a table, or these keys of it; and what there is of them.
pub fn begin<'py>(
    slf: &Bound<'py, Table>,
    keys: Option<&Bound<'py, PyList>>,
) -> PyResult<(Watch, Bound<'py, PyDict>)> {
    let py = slf.py();
    let wanted = keys.map(|keys| {
        room::try_collect(keys.iter(), |key| {
            with_key(&key, |identity| {
                Ok((identity.key.tag, room::copy(identity.key.bytes)?))
            })
        })
    });
    let wanted: Option<Vec<_>> = wanted.transpose()?;
    opened(slf, |this| {
        again(py, || {
            let (watch, pairs) = this.open.waiting(py, |caller| {
                table::Watch::new(caller, this.table, wanted.as_deref())
            })?;
            let state = room::dict(py)?;
            let is_whole = this.each_of(py, &pairs, None, |pair, value| {
                state.set_item(key_of(py, pair)?, value)
            })?;
            let watch = Watch {
                table: slf.clone().unbind(),
                watch: Mutex::new(Some(watch)),
            };
            Ok(is_whole.then_some((watch, state)))
        })
    })
}

/// A change as Python sees it; None: its value names an object that is gone.
fn decoded<'py>(py: Python<'py>, this: Opened, change: &Change) -> PyResult<Option<Changed<'py>>> {
    let original = change.original.as_ref();
    let original = original.map(|(kind, bytes)| (*kind, bytes.as_slice()));
    let key = Key {
        tag: change.tag,
        bytes: &change.key,
    };
    let name = || identity::decode(py, key, original);
    let key = name().map_err(|error| failure::at(py, error, "a key"))?;
    let Some(value) = &change.value else {
        return Ok(Some(vec![key]));
    };
    let copied = match value {
        Stored::Word(word) => Stored::Word(*word),
        Stored::Bytes(kind, bytes) => Stored::Bytes(*kind, bytes.as_slice()),
    };
    let value = stored::decode_copied(py, this.space, this.open.participant, copied)
        .map_err(|error| failure::at_key(py, error, VALUE_OF, name))?;
    Ok(value.map(|value| vec![key, value]))
}
