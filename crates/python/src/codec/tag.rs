//! The native form of containers: an item is a tag and what the tag announces.
//!
//! | tag                                  | followed by                                          |
//! | ------------------------------------ | ---------------------------------------------------- |
//! | none, false, true                    |                                                      |
//! | integer of 1, 2, 4, 8 bytes          | the number, signed                                   |
//! | integer                              | count, two's complement of so many bytes             |
//! | float, complex                       | 8 or 16 bytes                                        |
//! | text of four kinds, bytes, bytearray | count, so many bytes                                 |
//! | the same, `OUTSIDE`                  | nothing: they are the next buffer                    |
//! | tuple, list, set, frozenset          | count, so many items                                 |
//! | dict                                 | count, so many pairs of items                        |
//! | reference                            | the number of an object with the flag `NAMED`        |
//! | link                                 | the number of a courtyard object, kept by the caller |
//!
//! All in the byte order of the machine. A count below 128 is one byte; else bytes of seven bits,
//! lowest first, all but the last with the high bit set. Objects with the flag `NAMED` are numbered
//! as they are met: lists, dicts and sets before their items, so that these can refer to them;
//! tuples and frozensets after theirs, because a tuple that lacks items must not be a key. A tuple
//! that contains itself is pickled.

pub const NONE: u8 = 0;
pub const FALSE: u8 = 1;
pub const TRUE: u8 = 2;
pub const INTEGER_1: u8 = 3;
pub const INTEGER_2: u8 = 4;
pub const INTEGER_4: u8 = 5;
pub const INTEGER_8: u8 = 6;
pub const INTEGER: u8 = 7;
pub const FLOAT: u8 = 8;
pub const COMPLEX: u8 = 9;
pub const TUPLE: u8 = 10;
pub const LIST: u8 = 11;
pub const DICT: u8 = 12;
pub const SET: u8 = 13;
pub const FROZENSET: u8 = 14;
pub const REFERENCE: u8 = 15;
pub const LINK: u8 = 16;
pub const BYTES: u8 = 17;
pub const BYTEARRAY: u8 = 18;
/// Text of one byte a unit, all below 128; then of 1, 2 and 4 bytes a unit, as PEP 393 has it: the
/// widest unit needs that width.
pub const ASCII: u8 = 19;
pub const LATIN: u8 = 20;
pub const WIDE_2: u8 = 21;
pub const WIDE_4: u8 = 22;

pub const OUTSIDE: u8 = 0x40;
pub const NAMED: u8 = 0x80;
