//! Which key a Python object is: two objects are the same key if tag and bytes are equal.
//!
//! | tag        | bytes                                                                           |
//! | ---------- | ------------------------------------------------------------------------------- |
//! | none       | nothing                                                                         |
//! | text       | its units, of the width that the tag says: equal texts have equal widths        |
//! | bytes      | themselves                                                                      |
//! | integer    | two's complement, lowest byte first: 8, or more if need be                      |
//! | float      | 8 bytes; not for whole numbers, which are integers: `1 == 1.0 == True`          |
//! | complex    | both parts as floats; not for those that are real                               |
//! | tuple      | count, so many items                                                            |
//! | frozenset  | count, so many items, sorted by their bytes                                     |
//! | pickle     | what pickle makes of any other object                                           |
//!
//! An item is a tag and its bytes, behind their length where they don't begin with a count. Lengths
//! and counts are written as in the codec. Subclasses of these types that compare and hash as their
//! base does (`IntEnum`, named tuples) are the same key as their base would be.
//!
//! Pickled keys are the same if their pickles are. So a `Decimal` or a `Fraction` is not the same
//! key as the number that it equals, and an object whose state is in no fixed order (a set of texts)
//! may not be found again. Which of its parts are the same object makes no difference.

mod decode;
mod encode;
mod form;
mod hook;
mod pickle;

pub use decode::decode;
pub use encode::{original, text_key, with_flat_key, with_key, with_known_key, with_plain_key};
pub use form::{Identity, may_fail};
pub use hook::{_key_decode, _key_encode};
