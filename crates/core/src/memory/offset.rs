//! Offsets with types, so that one cannot be taken for another.

use std::ops::Add;

/// An object's first block: its head and payload are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Root(pub u64);

/// A word on which waiters sleep until it changes: one of the space's, or of an object.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct EventWord(pub u64);

/// Where an object has an event word: added to its first word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct EventAt(pub u64);

impl Add<EventAt> for u64 {
    type Output = EventWord;

    #[inline(always)]
    fn add(self, at: EventAt) -> EventWord {
        EventWord(self + at.0)
    }
}
