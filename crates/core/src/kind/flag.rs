//! The `Event` that users see: a flag, and how often it was set.
//!
//! `sets << 1 | flag` in one word, so that a waiter learns of a `set` that a `clear` followed.

use crate::error::Result;
use crate::memory::segment::Segment;
use crate::object;
use crate::object::kind::Kind;
use crate::offset::Object;
use crate::space::Caller;
use crate::sync::Ordering;

const STEP: u64 = 2;
const SET: u64 = 1;

pub const KIND: Kind = Kind {
    class: "Event",
    count: |segment, object| Some(u64::from(is_set(word(segment, object)))),
    readiness: |segment, object| Some(is_set(word(segment, object)).into()),
    ..Kind::PLAIN
};

/// The word: set if its lowest bit is, and changed if it was set since.
#[inline]
pub fn word(segment: &Segment, object: Object) -> u64 {
    segment.word(object + object::DATA).load(Ordering::SeqCst) // pairs with `turn`
}

#[inline]
pub fn is_set(word: u64) -> bool {
    word & SET != 0
}

/// Whether the flag was set at some time since its word read as `before`.
#[inline]
pub fn was_set(before: u64, now: u64) -> bool {
    is_set(now) || now / STEP != before / STEP
}

/// Sets or clears the flag: one atomic operation on its word.
#[inline]
pub fn turn(segment: &Segment, object: Object, on: bool) {
    let word = segment.word(object + object::DATA);
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let next = match (on, is_set(seen)) {
            (true, false) => seen.wrapping_add(STEP) | SET,
            (false, true) => seen & !SET,
            _ => return,
        };
        // pairs with `word`
        match word.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Turns the flag and wakes the waiters.
///
/// # Errors
/// As `object::change`.
///
/// # Crash
/// The atomic operation commits; the queued wake is written before it.
pub fn change(caller: Caller, object: Object, on: bool) -> Result<()> {
    let writer = object::Writer {
        object,
        guarded: false,
        thread: 0,
    };
    object::change(caller, writer, || {
        turn(&caller.space.segment, object, on);
    })
}
