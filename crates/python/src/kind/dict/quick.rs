//! One entry of a table where it is.

use crate::abi::{Pointer, bound, held, index};
use crate::codec::identity::{text_key, with_plain_key};
use crate::codec::{self, Flat};
use crate::object::Object;
use courtyard_core::table::{self, Item, Key, Seen};
use courtyard_core::value::NewValue;
use pyo3::prelude::*;

/// Runs `work` on a key; None: it takes Python code, which the general way runs, or is none.
#[inline(always)]
fn with_quick_key<T>(key: &Bound<'_, PyAny>, work: impl Fn(&Key) -> Option<T>) -> Option<T> {
    with_known_form(key, |key, _| work(key))
}

/// The same; `work` learns whether the key's bytes give back this very object.
#[inline(always)]
fn with_known_form<T>(key: &Bound<'_, PyAny>, work: impl Fn(&Key, bool) -> Option<T>) -> Option<T> {
    match text_key(key) {
        Some(text) => work(&text, true),
        None => with_plain_key(key, |identity| work(&identity.key, identity.is_exact)),
    }
}

/// The value of a key that is a word, a short text or short bytes, on the fast path.
#[inline(always)]
pub fn find(base: &Object, key: Pointer) -> Option<Pointer> {
    base.handle.held()?;
    let (segment, object, py) = (&base.handle.space.segment, base.handle.object, held());
    with_quick_key(&bound(py, key), |key| {
        let found = table::peek(segment, object, key)?;
        let value = match &found.value {
            &Seen::Word(word) => {
                return found
                    .holds()
                    .then(|| codec::decode_word(py, word).ok())?
                    .map(Bound::into_ptr);
            }
            Seen::Inline(inline) => {
                let length = inline.length as usize;
                let fill = |to: &mut [u8]| segment.copy_out(inline.at, to);
                codec::decode_flat(py, inline.kind, length, fill).ok()?
            }
        };
        value.filter(|_| found.holds()).map(Bound::into_ptr)
    })
}

/// Whether there is such a key, on the fast path.
#[inline(always)]
pub fn is_known(base: &Object, key: Pointer) -> Option<bool> {
    base.handle.held()?;
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    with_quick_key(&bound(held(), key), |key| {
        table::is_known(segment, object, key)
    })
}

/// Stores a value that takes no encoding, by the fast path: under a new key if its bytes say all of it.
#[inline(always)]
pub fn store(base: &Object, key: Pointer, value: Pointer) -> bool {
    let (Some(participant), py) = (base.handle.held(), held()) else {
        return false;
    };
    let (key, value) = (bound(py, key), bound(py, value));
    let Some(flat) = codec::encode_flat(&value) else {
        return false;
    };
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    let stored = with_known_form(&key, |&key, is_exact| {
        let parts;
        let value = match flat {
            Flat::Word(word) => NewValue::Word(word),
            Flat::Content(kind, bytes) => {
                parts = [bytes];
                NewValue::Bytes(kind, &parts)
            }
        };
        let original = None;
        let item = Item {
            key,
            original,
            value,
        };
        // SAFETY: the GIL is held from before this call until after it.
        Some(unsafe { table::store_fast(segment, participant, object, &item, is_exact) })
    });
    stored.unwrap_or(false)
}

/// Takes a key out by the fast path, if there is one.
#[inline(always)]
pub fn remove(base: &Object, key: Pointer) -> bool {
    let Some(participant) = base.handle.held() else {
        return false;
    };
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    let removed = with_quick_key(&bound(held(), key), |key| {
        // SAFETY: the GIL is held from before this call until after it.
        Some(unsafe { table::remove_fast(segment, participant, object, key) })
    });
    removed.unwrap_or(false)
}

/// Adds an int to one that is a word, on the fast path; the sum.
#[inline(always)]
pub fn add(base: &Object, key: Pointer, n: Option<Pointer>) -> Option<Pointer> {
    let (participant, py) = (base.handle.held()?, held());
    let step = n.map_or(Some(1), index)?;
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    let sum = with_quick_key(&bound(py, key), |key| {
        let next = |word| codec::add_word(word, step);
        // SAFETY: the GIL is held from before this call until after it.
        unsafe { table::change_fast(segment, participant, object, key, next) }
    })?;
    // A word of ours, and an int: there is no reason but memory why it should not be made.
    match codec::decode_word(py, sum) {
        Ok(sum) => Some(sum.into_ptr()),
        Err(error) => {
            error.restore(py);
            Some(std::ptr::null_mut())
        }
    }
}
