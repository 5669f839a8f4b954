//! Offsets with types, so that one cannot be taken for another.

use std::fmt;
use std::ops::Add;

macro_rules! offset {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[repr(transparent)]
        pub struct $name(pub u64);

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    )*};
}

offset! {
    /// An object's first block: its head and payload are there.
    Root;
    /// An object's first word, its lock; the rest of its head and its payload follow.
    Object;
    /// A lock word: one of the space's, of a slot, or of an object.
    LockWord;
    /// A word on which waiters sleep until it changes: one of the space's, or of an object.
    EventWord;
    /// Where an object has a lock word of its own beside its first.
    LockAt;
    /// Where an object has an event word.
    EventAt;
}

impl Object {
    #[inline(always)]
    pub const fn lock(self) -> LockWord {
        LockWord(self.0)
    }
}

macro_rules! add {
    ($($at:ident -> $word:ident, $make:expr;)*) => {$(
        impl Add<$at> for Object {
            type Output = $word;

            #[inline(always)]
            fn add(self, at: $at) -> $word {
                $make(self, at)
            }
        }
    )*};
}

add! {
    u64 -> u64, |object: Object, at| object.0 + at;
    LockAt -> LockWord, |object: Object, at: LockAt| LockWord(object.0 + at.0);
    EventAt -> EventWord, |object: Object, at: EventAt| EventWord(object.0 + at.0);
}
