//! Changes that depend on what is there, and changes of many keys at once.

use super::{Opened, Table, acquire, opened, release};
use crate::codec::{self, Links};
use crate::error::changed_inside;
use crate::identity::{self, with_key};
use crate::value::with_fresh;
use crate::waiter::Deadline;
use courtyard_core::table::{self, Batch, Item, When};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyList};

/// How often a change is tried beside others before these are locked out.
const PERSISTENCE: u32 = 30;
/// How often what others are not locked out of is tried, where but few changes stand in its way.
const MANY: u32 = 10_000;

/// Reads a key's value, lets `next` say what to store, and stores that if nothing changed meanwhile;
/// else again. None from `next`: store nothing. No lock is held while Python code runs, unless
/// others keep winning.
///
/// # Errors
/// What `next` raises, and what storing raises; `RuntimeError` if `next` itself changes the key.
pub fn update<'py>(
    slf: &Bound<'py, Table>,
    key: &Bound<'py, PyAny>,
    mut next: impl FnMut(Option<Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyAny>>>,
) -> PyResult<()> {
    let py = slf.py();
    let mut attempt = || {
        opened(slf, |this| {
            with_key(key, |identity| {
                let (value, token) = this.find(py, &identity)?;
                match next(value)? {
                    None => Ok(true),
                    Some(new) => this.store(py, key, &identity, &new, When::Unchanged(token)),
                }
            })
        })
    };
    for _ in 0..PERSISTENCE {
        if attempt()? {
            return Ok(());
        }
    }
    exclusively(slf, || {
        // A thread of this process shares no lock with us: it waits now, too.
        for _ in 0..PERSISTENCE {
            if attempt()? {
                return Ok(());
            }
        }
        Err(changed_inside("the key"))
    })
}

/// Runs `work` while the table's lock is ours.
///
/// # Errors
/// Those of `work`.
pub fn exclusively<T>(slf: &Bound<'_, Table>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    acquire(slf, Some(Deadline::NEVER))?;
    let result = work();
    release(slf)?;
    result
}

/// Takes keys out and stores pairs, at once.
///
/// # Errors
/// What encoding any of them raises, `SpaceFull`; then nothing has changed.
pub fn change_all(
    this: Opened<'_>,
    pairs: &Bound<'_, PyList>,
    gone: &Bound<'_, PyList>,
) -> PyResult<()> {
    for _ in 0..MANY {
        if try_change_all(this, pairs, gone)? {
            return Ok(());
        }
    }
    Err(changed_inside("the way in which a key is written"))
}

/// As `change_all`; false, with nothing changed: again.
fn try_change_all(
    this: Opened<'_>,
    pairs: &Bound<'_, PyList>,
    gone: &Bound<'_, PyList>,
) -> PyResult<bool> {
    let py = pairs.py();
    let (space, participant) = (this.space, this.open.participant);
    let mut batch = this.open.handle.waiting(py, |patience| {
        let room = (pairs.len() + gone.len()) as u64;
        Batch::new(space, participant, patience, room)
    })?;
    for key in gone {
        with_key(&key, |identity| {
            batch.remove(&identity.key);
            Ok(())
        })?;
    }
    for pair in pairs {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let encoded = codec::encode(&value, Links::Keep)?;
        with_key(&key, |identity| {
            let original = identity::original(&key, &identity)?;
            let original = original
                .as_ref()
                .map(|(kind, bytes)| (*kind, bytes.as_slice()));
            let key = identity.key;
            with_fresh(py, this.open, encoded, |patience, value| {
                let item = Item {
                    key,
                    original,
                    value,
                };
                batch.add(patience, this.table, &item)
            })
        })?;
    }
    this.open.handle.waiting(py, |patience| {
        table::store_all(patience, this.table, &batch)
    })
}

type Found<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// The values of those of the keys that there are, as they stood together at one moment.
///
/// # Errors
/// What decoding raises.
pub fn find_all<'py>(
    this: Opened<'_>,
    slf: &Bound<'py, Table>,
    keys: &Bound<'py, PyList>,
) -> PyResult<Found<'py>> {
    let (py, segment, cell) = (slf.py(), &this.space.segment, this.table.cell);
    let read = || {
        let mut found = Vec::new();
        for key in keys {
            let value = with_key(&key, |identity| Ok(this.find(py, &identity)?.0))?;
            found.extend(value.map(|value| (key, value)));
        }
        Ok(found)
    };
    for _ in 0..PERSISTENCE {
        let before = table::version(segment, cell);
        let found = read()?;
        // Each value was whole; together they stood so if nothing changed meanwhile.
        if table::version(segment, cell) == before {
            return Ok(found);
        }
    }
    exclusively(slf, read)
}

/// Adds to the values of many keys; the table's lock is ours.
///
/// # Errors
/// What an addition raises; then nothing has changed.
pub fn add_all(this: Opened<'_>, pairs: &Bound<'_, PyList>) -> PyResult<()> {
    let py = pairs.py();
    let sums = PyList::empty(py);
    for pair in pairs {
        let (key, n): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        let value = with_key(&key, |identity| Ok(this.find(py, &identity)?.0))?;
        let sum = match value {
            Some(value) => value.add(&n)?,
            None => n,
        };
        sums.append((key, sum))?;
    }
    change_all(this, &sums, &PyList::empty(py))
}
