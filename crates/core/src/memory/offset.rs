//! Offsets with types, so that one cannot be taken for another.

/// An object's first block: its head and payload are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Root(pub u64);
