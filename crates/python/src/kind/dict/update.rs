//! Changes that depend on what is there, and changes of many keys at once.

use super::lock::{acquire, release};
use super::quick;
use super::state::{Opened, Table, opened};
use crate::codec::identity::{self, Identity, with_flat_key, with_key, with_known_key};
use crate::codec::{self, Buffers, Flat, Links, dict_next, encode_flat, failure};
use crate::error::changed_inside;
use crate::object::waiter::Deadline;
use crate::room;
use crate::value::stored::{self, may_take, with_new};
use courtyard_core::table::{self, Batch, End, EndSeen, Item, Popped, When};
use courtyard_core::value::{NewValue, SHORT_MOST, Take};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyDict, PyList};

/// How often a change is tried beside others before these are locked out.
const MAX_ATTEMPTS: u32 = 30;
/// How often what others are not locked out of is tried, where but few changes are in its way.
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
    insist(slf, || {
        opened(slf, |this| {
            with_key(key, |identity| {
                let (value, token) = this.find(py, &identity)?;
                let done = match next(value)? {
                    None => true,
                    Some(new) => this.store(py, key, &identity, &new, When::Unchanged(token))?,
                };
                Ok(done.then_some(()))
            })
        })
    })
}

/// Attempts something until it gives what it came to; after some failures with others locked out.
///
/// # Errors
/// Those of `attempt`; `RuntimeError` if it never gives anything, as it changes the table itself.
fn insist<T>(
    slf: &Bound<'_, Table>,
    mut attempt: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<T> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
    }
    exclusively(slf, || {
        // A thread of this process shares no lock with us: it waits now, too.
        let mut tries = (0..MAX_ATTEMPTS).map(|_| attempt());
        let done = tries.find_map(Result::transpose);
        done.unwrap_or_else(|| Err(changed_inside("the key")))
    })
}

/// Takes a key out and returns its value; None: there is none. A value that is not to be taken first is
/// loaded first, and then taken out if it is still there.
///
/// # Errors
/// What decoding raises; then nothing has changed.
pub fn take<'py>(
    slf: &Bound<'py, Table>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    let attempt = |this: Opened<'_>, identity: Identity| {
        let participant = this.open.participant;
        let taken = this.open.waiting(py, |caller| {
            table::take_if(caller, this.table, &identity.key, may_take)
        })?;
        Ok(match taken {
            Take::Nothing => Some(None),
            Take::Taken(taken) => Some(Some(stored::decode_taken(
                py,
                this.space,
                participant,
                taken,
            )?)),
            Take::Left => {
                let (value, token) = this.find(py, &identity)?;
                let is_taken =
                    value.is_some() && this.remove(py, &identity, When::Unchanged(token))?;
                is_taken.then_some(value)
            }
        })
    };
    insist(slf, || {
        let taken = opened(slf, |this| {
            with_known_key(key, |identity| attempt(this, identity))
        })?;
        Ok(taken.unwrap_or(Some(None)))
    })
}

/// Takes out the key at an end, with its value; None: the table is empty. As `take`.
///
/// # Errors
/// As `take`.
pub fn pop_end<'py>(
    slf: &Bound<'py, Table>,
    end: End,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    let py = slf.py();
    let key_of = |(tag, bytes): &(u8, Vec<u8>), original: &Option<(u8, Vec<u8>)>| {
        let original = original.as_ref();
        let original = original.map(|(kind, bytes)| (*kind, bytes.as_slice()));
        identity::decode(py, table::Key { tag: *tag, bytes }, original)
            .map_err(|error| failure::at(py, error, "a key"))
    };
    let attempt = |this: Opened<'_>| {
        let participant = this.open.participant;
        let may = |seen: &EndSeen| {
            let length = |bytes: &Vec<u8>| bytes.len() as u64;
            let original = seen.original.as_ref();
            let original = original.map(|(kind, bytes)| (*kind, length(bytes)));
            let (tag, key) = (seen.key.0, length(&seen.key.1));
            let is_plain = !identity::may_fail(tag) && key <= SHORT_MOST;
            is_plain && may_take(seen.form) && may_take(original)
        };
        let popped = this
            .open
            .waiting(py, |caller| table::pop_end_if(caller, this.table, end, may))?;
        let seen = match popped {
            Popped::Nothing => return Ok(Some(None)),
            Popped::Taken((key, original, taken)) => {
                let value = stored::decode_taken(py, this.space, participant, taken)?;
                return Ok(Some(Some((key_of(&key, &original)?, value))));
            }
            Popped::Left(seen) => seen,
        };
        let (tag, bytes) = (seen.key.0, seen.key.1.as_slice());
        let (value, token) = this.find_key(py, &table::Key { tag, bytes }, Buffers::Own)?;
        let Some(value) = value.filter(|_| token == seen.token) else {
            return Ok(None);
        };
        let key = key_of(&seen.key, &seen.original)?;
        let is_taken = this.open.waiting(py, |caller| {
            table::remove_end(caller, this.table, end, &seen)
        })?;
        Ok(is_taken.then_some(Some((key, value))))
    };
    insist(slf, || opened(slf, attempt))
}

/// Runs `work` while the table's lock is ours.
///
/// # Errors
/// Those of `work`.
pub fn exclusively<T>(slf: &Bound<'_, Table>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    acquire(py, handle, Some(Deadline::NEVER))?;
    let result = work();
    release(py, handle)?;
    result
}

/// Takes keys out and stores the pairs of a dict, at once.
///
/// # Errors
/// What encoding any of them raises, `SpaceFull`; then nothing has changed.
pub fn change_all(
    this: Opened<'_>,
    pairs: &Bound<'_, PyDict>,
    gone: &Bound<'_, PyList>,
) -> PyResult<()> {
    let py = pairs.py();
    let room = (pairs.len() + gone.len()) as u64;
    let mut items = None;
    for number in 0..MANY {
        let is_careful = number > 0;
        let mut batch = Batch::new(room, is_careful);
        let is_flat = !is_careful && keep_flat(&mut batch, pairs, encode_flat)?;
        if !is_flat {
            // Encoding may run code that changes the dict: so its items are taken before.
            let items = match &items {
                Some(items) => items,
                None => items.insert(room::items(pairs)?),
            };
            batch = Batch::new(room, is_careful);
            items
                .iter()
                .try_for_each(|pair| add(this, &mut batch, &pair))?;
        }
        for key in gone {
            with_key(&key, |identity| room::found(batch.remove(&identity.key)))?;
        }
        let stored = this.open.waiting(py, |caller| {
            table::store_all(caller, this.table, &mut batch)
        })?;
        if stored {
            return Ok(());
        }
    }
    Err(changed_inside("the way in which a key is written"))
}

/// Adds the pairs of a dict to a batch, if no Python code runs meanwhile: its keys are texts and ints, and its
/// values what `flat` makes something of.
///
/// # Errors
/// `MemoryError`.
fn keep_flat<'py>(
    batch: &mut Batch,
    pairs: &Bound<'py, PyDict>,
    flat: for<'a> fn(&'a Bound<'py, PyAny>) -> Option<Flat<'a>>,
) -> PyResult<bool> {
    let mut position = 0;
    while let Some((key, value)) = dict_next(pairs.as_any().as_borrowed(), &mut position) {
        let Some(value) = flat(&value) else {
            return Ok(false);
        };
        let kept = with_flat_key(&key, |key| {
            let (parts, original) = (&mut [&[][..]], None);
            let value = match value {
                Flat::Word(word) => NewValue::Word(word),
                Flat::Content(kind, bytes) => {
                    parts[0] = bytes;
                    NewValue::Bytes(kind, parts)
                }
            };
            batch.keep(&Item {
                key,
                original,
                value,
            })
        });
        if !room::found(kept.transpose())?.unwrap_or(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Adds a pair, whatever it takes to encode it.
///
/// # Errors
/// What that raises; `SpaceFull`.
fn add(this: Opened<'_>, batch: &mut Batch, pair: &Bound<'_, PyAny>) -> PyResult<()> {
    let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
    let encoded = codec::encode(&value, Links::Keep)?;
    with_key(&key, |identity| {
        let original = identity::original(&key, &identity)?;
        let original = original
            .as_ref()
            .map(|(kind, bytes)| (*kind, bytes.as_slice()));
        let key = identity.key;
        with_new(pair.py(), this.open, encoded, |caller, value| {
            let item = Item {
                key,
                original,
                value,
            };
            batch.add(caller, this.table, &item)
        })
    })
}

/// The value of a key, the fast way if it can be had so.
///
/// # Errors
/// What decoding raises.
fn value_of<'py>(
    this: Opened<'_>,
    slf: &Bound<'py, Table>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    match quick::find(slf.as_super().get(), key.as_ptr()) {
        // SAFETY: a reference of our own.
        Some(value) => Ok(Some(unsafe { Bound::from_owned_ptr(py, value) })),
        None => Ok(with_known_key(key, |identity| Ok(this.find(py, &identity)?.0))?.flatten()),
    }
}

/// The values of those of the keys that there are, as they were together at one moment.
///
/// # Errors
/// What decoding raises.
pub fn find_all<'py>(
    this: Opened<'_>,
    slf: &Bound<'py, Table>,
    keys: &Bound<'py, PyList>,
) -> PyResult<Bound<'py, PyDict>> {
    let (py, segment, object) = (slf.py(), &this.space.segment, this.table.object);
    let read = || {
        let found = room::dict(py)?;
        for key in keys {
            if let Some(value) = value_of(this, slf, &key)? {
                found.set_item(key, value)?;
            }
        }
        Ok(found)
    };
    if keys.len() < 2 {
        return read(); // one value is whole by itself
    }
    for _ in 0..MAX_ATTEMPTS {
        let before = table::version(segment, object);
        let found = read()?;
        // Each value was whole; together they stood so if nothing changed meanwhile.
        if table::version(segment, object) == before {
            return Ok(found);
        }
    }
    exclusively(slf, read)
}

/// Adds the values of a dict to those of its keys, or takes them off, at once.
///
/// # Errors
/// What an addition raises; then nothing has changed.
pub fn add_all(slf: &Bound<'_, Table>, pairs: &Bound<'_, PyDict>, negative: bool) -> PyResult<()> {
    let is_done = opened(slf, |this| {
        let batch = Batch::new(pairs.len() as u64, false);
        let mut batch = batch.merging(codec::sum_of_words);
        let flat = if negative { taken_off } else { added };
        if !keep_flat(&mut batch, pairs, flat)? {
            return Ok(false);
        }
        this.open.waiting(pairs.py(), |caller| {
            table::store_all(caller, this.table, &mut batch)
        })
    })?;
    if is_done {
        return Ok(());
    }
    exclusively(slf, || {
        opened(slf, |this| add_each(this, slf, pairs, negative))
    })
}

fn added<'a>(n: &'a Bound<'_, PyAny>) -> Option<Flat<'a>> {
    codec::step_word(codec::encode_word(n)?, false).map(Flat::Word)
}

fn taken_off<'a>(n: &'a Bound<'_, PyAny>) -> Option<Flat<'a>> {
    codec::step_word(codec::encode_word(n)?, true).map(Flat::Word)
}

/// As `add_all`, of values of any kind; the table's lock is ours.
fn add_each(
    this: Opened<'_>,
    slf: &Bound<'_, Table>,
    pairs: &Bound<'_, PyDict>,
    negative: bool,
) -> PyResult<()> {
    let py = pairs.py();
    let sums = PyDict::new(py);
    let is_empty = this
        .open
        .waiting(py, |caller| table::length(caller, this.table))?
        == 0;
    for pair in room::items(pairs)? {
        let (key, mut n): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair.extract()?;
        if negative {
            n = n.neg()?;
        }
        let sum = match value_of(this, slf, &key)? {
            Some(value) => value.add(&n)?,
            None if is_empty => n, // as collections.Counter does
            None => n.add(0)?,
        };
        sums.set_item(key, sum)?;
    }
    change_all(this, &sums, &PyList::empty(py))
}
