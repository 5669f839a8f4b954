//! Changes of many elements, and of those in the middle: what is to be done is worked out on what was
//! there at one moment, and done if nothing changed since; else again.

use super::place::{Slice, ascending};
use super::state::{Opened, Sequence, all, opened};
use crate::codec::{self, Encoded, LINKED, Links};
use crate::error::{changed_inside, raise};
use crate::object;
use crate::object::waiter::Deadline;
use crate::room;
use crate::value::stored::with_new;
use courtyard_core::error::Error;
use courtyard_core::link;
use courtyard_core::list::{self, Batch, End, Piece, Places, Token};
use courtyard_core::object::Stored;
use courtyard_core::value::{NewValue, prepare};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

/// How often a change is tried beside others before these are locked out.
const MAX_ATTEMPTS: u32 = 30;
/// So many elements that are no run are replaced where they are; of more the list is built anew.
const FEW: u64 = 4096;

/// Runs `attempt` until it gives something; after some failures while the list's lock is ours.
///
/// # Errors
/// Those of `attempt`; `RuntimeError` if it never gives anything, as it changes the list itself.
fn insist<T>(
    slf: &Bound<'_, Sequence>,
    mut attempt: impl FnMut(Opened<'_>) -> PyResult<Option<T>>,
) -> PyResult<T> {
    for _ in 0..MAX_ATTEMPTS {
        if let Some(done) = opened(slf, &mut attempt)? {
            return Ok(done);
        }
    }
    let (py, handle) = (slf.py(), &slf.as_super().get().handle);
    object::acquire(py, handle, Some(Deadline::NEVER))?;
    // A thread of this process shares no lock with us: it waits now, too.
    let mut tries = (0..MAX_ATTEMPTS).map(|_| opened(slf, &mut attempt));
    let done = tries.find_map(Result::transpose);
    object::release(py, handle)?;
    done.unwrap_or_else(|| Err(changed_inside("the list")))
}

/// Exchanges the ring; None: something changed since.
fn rebuild(
    py: Python<'_>,
    this: Opened<'_>,
    token: Token,
    batch: &Batch,
    pieces: &[Piece],
) -> PyResult<Option<()>> {
    // What is as long as to be copied for milliseconds is copied without the GIL.
    let bytes = (token.count + batch.count()) * 8;
    let done = this.open.copying(py, bytes, |caller| {
        list::rebuild(caller, this.list, token, batch, pieces)
    });
    Ok(done?.then_some(()))
}

/// Exchanges so many elements from a place on for those of a batch; None: something changed since.
fn splice(
    py: Python<'_>,
    this: Opened<'_>,
    token: Token,
    (first, old): (u64, u64),
    batch: &Batch,
) -> PyResult<Option<()>> {
    let moved = first.min(token.count.saturating_sub(first + old));
    let bytes = (moved + batch.count()) * 8;
    let done = this.open.copying(py, bytes, |caller| {
        list::splice(caller, this.list, token, (first, old), batch)
    });
    Ok(done?.then_some(()))
}

/// Encodes values, all that a change needs: the last so many.
fn batch<'a>(this: Opened<'a>, values: &Bound<'_, PyList>, last: usize) -> PyResult<Batch<'a>> {
    let mut batch = Batch::new(last as u64);
    for value in values.iter().skip(values.len().saturating_sub(last)) {
        let encoded = codec::encode(&value, Links::Keep)?;
        add(this, values.py(), &mut batch, encoded)?;
    }
    Ok(batch)
}

fn add(
    this: Opened<'_>,
    py: Python<'_>,
    batch: &mut Batch,
    encoded: Encoded<'_, '_>,
) -> PyResult<()> {
    with_new(py, this.open, encoded, |caller, value| {
        batch.add(caller, &value)
    })
}

/// Where an index is in a list so long; None: nowhere.
fn place(index: i64, count: u64) -> Option<u64> {
    let index = match index < 0 {
        true => index.checked_add_unsigned(count)?,
        false => index,
    };
    u64::try_from(index).ok().filter(|&index| index < count)
}

/// `del x[index]`.
pub fn delete(slf: &Bound<'_, Sequence>, index: i64) -> PyResult<()> {
    let py = slf.py();
    let end = match index {
        0 => Some(End::First),
        -1 => Some(End::Last),
        _ => None,
    };
    insist(slf, |this| {
        let missing = || Err(this.out_of_range("assignment index"));
        if let Some(end) = end {
            let taken = this
                .open
                .waiting(py, |caller| list::pop(caller, this.list, end))?;
            return taken.map_or_else(missing, |_| Ok(Some(())));
        }
        let token = this.look(py)?;
        let Some(place) = place(index, token.count) else {
            return missing();
        };
        let nothing = Batch::new(0);
        splice(py, this, token, (place, 1), &nothing)
    })
}

/// `x.pop(index)`.
pub fn pop<'py>(slf: &Bound<'py, Sequence>, index: i64) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    insist(slf, |this| {
        match index {
            0 => return this.pop(py, End::First),
            -1 => return this.pop(py, End::Last),
            _ => {}
        }
        let (value, token) = this.get(py, index)?;
        let (Some(value), Some(place)) = (value, place(index, token.count)) else {
            return Err(match token.count {
                0 => PyIndexError::new_err("pop from empty list"),
                _ => PyIndexError::new_err("pop index out of range"),
            });
        };
        let nothing = Batch::new(0);
        let done = splice(py, this, token, (place, 1), &nothing)?;
        Ok(done.map(|()| value))
    })
}

/// Takes the value at an end.
pub fn pop_end<'py>(slf: &Bound<'py, Sequence>, end: End) -> PyResult<Bound<'py, PyAny>> {
    insist(slf, |this| this.pop(slf.py(), end))
}

/// `x.insert(index, value)`.
pub fn insert(slf: &Bound<'_, Sequence>, index: i64, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    insist(slf, |this| {
        let encoded = codec::encode(value, Links::Keep)?; // before the look: it may run any code
        let token = this.look(py)?;
        if this.most() == Some(token.count) {
            return Err(PyIndexError::new_err("deque already at its maximum size"));
        }
        let count = token.count;
        let place = match index < 0 {
            true => index.checked_add_unsigned(count).map_or(0, |at| at.max(0)),
            false => index.min(count as i64),
        } as u64;
        let end = match place {
            0 => Some(End::First),
            place if place == count => Some(End::Last),
            _ => None,
        };
        if let Some(end) = end {
            return Ok(this.push(py, end, encoded, Some(token))?.then_some(()));
        }
        let mut batch = Batch::new(1);
        add(this, py, &mut batch, encoded)?;
        splice(py, this, token, (place, 0), &batch)
    })
}

/// The elements between those at `places`, which go upwards, and in place of each of these the new
/// ones that `new` says.
///
/// # Errors
/// `MemoryError`.
fn around(count: u64, places: Places, new: impl Fn(u64) -> Option<Piece>) -> PyResult<Vec<Piece>> {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for index in 0..places.count {
        let place = places.at(index);
        if place > from {
            room::push(&mut pieces, Piece::old(from, place - from))?;
        }
        if let Some(new) = new(index) {
            room::push(&mut pieces, new)?;
        }
        from = place + 1;
    }
    room::push(&mut pieces, Piece::old(from, count - from))?;
    Ok(pieces)
}

/// `del x[slice]`.
pub fn delete_slice(slf: &Bound<'_, Sequence>, slice: Slice) -> PyResult<()> {
    let py = slf.py();
    insist(slf, |this| {
        let token = this.look(py)?;
        let places = ascending(slice.places(token.count));
        if places.count == 0 {
            return Ok(Some(()));
        }
        let nothing = Batch::new(0);
        if places.step == 1 {
            return splice(py, this, token, (places.first, places.count), &nothing);
        }
        let pieces = around(token.count, places, |_| None)?;
        rebuild(py, this, token, &nothing, &pieces)
    })
}

/// `x[slice] = values`.
pub fn assign(slf: &Bound<'_, Sequence>, slice: Slice, values: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    let values = listed(values, slice.step == 1)?;
    opened(slf, |this| {
        let batch = batch(this, &values, values.len())?;
        let new = batch.count();
        insist(slf, |this| {
            let token = this.look(py)?;
            let places = slice.places(token.count);
            if slice.step != 1 && places.count != new {
                return Err(PyValueError::new_err(format!(
                    "attempt to assign sequence of size {new} to extended slice of size {}",
                    places.count
                )));
            }
            if places.count == 0 && new == 0 {
                return Ok(Some(()));
            }
            if slice.step == 1 {
                return splice(py, this, token, (places.first, places.count), &batch);
            }
            if new <= FEW {
                let done = this.open.waiting(py, |caller| {
                    list::replace(caller, this.list, token, places, &batch)
                });
                return Ok(done?.then_some(()));
            }
            let turned = slice.step < 0;
            let number = |index| if turned { new - 1 - index } else { index };
            let pieces = around(token.count, ascending(places), |index| {
                Some(Piece::new(number(index), 1))
            })?;
            rebuild(py, this, token, &batch, &pieces)
        })
    })
}

/// What is assigned to a slice, as a plain list.
fn listed<'py>(values: &Bound<'py, PyAny>, contiguous: bool) -> PyResult<Bound<'py, PyList>> {
    let py = values.py();
    if values
        .try_iter()
        .is_err_and(|error| error.is_instance_of::<pyo3::exceptions::PyTypeError>(py))
    {
        return Err(pyo3::exceptions::PyTypeError::new_err(match contiguous {
            true => "can only assign an iterable",
            false => "must assign iterable to extended slice",
        }));
    }
    let list = py.get_type::<PyList>().call1((values,))?;
    Ok(list.cast_into()?)
}

/// Takes the element at a place of that moment out.
pub fn drop_at(this: Opened<'_>, py: Python<'_>, token: Token, place: u64) -> PyResult<bool> {
    let nothing = Batch::new(0);
    Ok(splice(py, this, token, (place, 1), &nothing)?.is_some())
}

/// Leaves the elements at these places of that moment.
pub fn keep(this: Opened<'_>, py: Python<'_>, token: Token, places: &[u64]) -> PyResult<bool> {
    let mut pieces: Vec<(u64, u64)> = Vec::new();
    for &place in places {
        match pieces.last_mut() {
            Some((first, count)) if *first + *count == place => *count += 1,
            _ => room::push(&mut pieces, (place, 1))?,
        }
    }
    let pieces = pieces
        .iter()
        .map(|&(first, count)| Piece::old(first, count));
    let pieces = room::collect(pieces)?;
    let nothing = Batch::new(0);
    Ok(rebuild(py, this, token, &nothing, &pieces)?.is_some())
}

/// `x.reverse()`.
pub fn reverse(slf: &Bound<'_, Sequence>) -> PyResult<()> {
    insist(slf, |this| {
        let token = this.look(slf.py())?;
        if token.count < 2 {
            return Ok(Some(()));
        }
        let nothing = Batch::new(0);
        let pieces = [Piece::old(0, token.count).reversed()];
        rebuild(slf.py(), this, token, &nothing, &pieces)
    })
}

/// `x.extend(values)`: of those beyond what there may be only the last.
pub fn extend(slf: &Bound<'_, Sequence>, values: &Bound<'_, PyList>, end: End) -> PyResult<()> {
    let (py, count) = (values.py(), values.len());
    insist(slf, |this| {
        let bounded = this.most();
        let most = bounded.map_or(count, |most| count.min(most as usize));
        let batch = batch(this, values, most)?;
        let done = this.open.copying(py, batch.count() * 8, |caller| {
            list::extend(caller, this.list, end, &batch, bounded)
        })?;
        Ok(done.then_some(()))
    })
}

/// `x *= times`.
pub fn repeat(slf: &Bound<'_, Sequence>, times: isize) -> PyResult<()> {
    let py = slf.py();
    insist(slf, |this| {
        if times < 1 {
            return this
                .open
                .waiting(py, |caller| list::clear(caller, this.list).map(Some));
        }
        let (elements, token) = this.snapshot(py, &all)?;
        let (count, most) = (token.count, this.most().unwrap_or(u64::MAX));
        let total = count.saturating_mul(times as u64);
        if times == 1 || count == 0 {
            return Ok(Some(()));
        }
        let room = this.space.segment.window() / 8;
        if total.min(most) > room {
            let what = format!("{total} elements are more than a space can hold");
            return Err(raise(py, Error::Full(what)));
        }
        // What is there stays, as long as nothing is to go.
        let kept = if total > most { 0 } else { count };
        let from = total - total.min(most) + kept;
        let mut batch = Batch::new(total - from);
        for number in from..total {
            if !copy(this, py, &mut batch, &elements[(number % count) as usize])? {
                return Ok(None);
            }
        }
        let pieces = [Piece::old(0, kept), Piece::new(0, total - from)];
        rebuild(py, this, token, &batch, &pieces)
    })
}

/// Adds a copy of an element; false: what it links is gone by now, since it was replaced.
fn copy(this: Opened<'_>, py: Python<'_>, batch: &mut Batch, element: &Stored) -> PyResult<bool> {
    match element {
        Stored::Word(word) => this
            .open
            .waiting(py, |caller| batch.add(caller, &NewValue::Word(*word)))?,
        Stored::Bytes(LINKED, bytes) => {
            return this.open.copying(py, bytes.len() as u64, |caller| {
                match link::copy(caller, bytes) {
                    Ok(own) => batch.add(caller, &NewValue::Block(own)).map(|()| true),
                    Err(Error::NotFound(_)) => Ok(false),
                    Err(error) => Err(error),
                }
            });
        }
        Stored::Bytes(kind, bytes) => this.open.copying(py, bytes.len() as u64, |caller| {
            let parts: &[&[u8]] = &[bytes];
            let new_value = prepare(caller, *kind, parts)?;
            batch.add(caller, &new_value)
        })?,
    }
    Ok(true)
}
