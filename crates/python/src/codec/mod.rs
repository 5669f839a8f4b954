//! Python objects as bytes: a word, or a kind of block and its payload.
//!
//! | kind         | payload                                                                       |
//! | ------------ | ----------------------------------------------------------------------------- |
//! | 16           | a float of 8 bytes                                                            |
//! | 17           | text in ASCII                                                                 |
//! | 18, 19, 20   | other text: its units of 1, 2 or 4 bytes, as PEP 393 has it                   |
//! | 21, 22       | bytes, a bytearray                                                            |
//! | 23           | an integer in two's complement, lowest byte first                             |
//! | 24           | the native form of any plain object (`tag`)                                   |
//! | 25           | the same, its large texts and bytes in buffers beside it (`buffer`)           |
//! | 26           | a pickle                                                                      |
//! | 27           | the same, with buffers                                                        |

mod buffer;
mod copy;
mod create;
mod decode;
mod encode;
pub mod failure;
mod hook;
pub mod identity;
mod integer;
mod key;
mod kind;
mod lent;
mod link;
mod memo;
mod ndarray;
mod object;
pub mod pickle;
pub mod pickler;
mod reader;
mod short;
mod source;
mod tag;
mod word;
mod writer;

pub use copy::copy_of_default;
pub use decode::{decode, decode_flat, decode_word};
pub use encode::{Block, Encoded, Flat, encode, encode_flat, encode_plain, encode_word};
pub use hook::{_decode, _encode, peek};
pub use kind::{LINKED, is_pickle, may_fail};
pub use link::{Links, is_courtyard, linked};
pub use object::dict_next;
pub use source::{Buffers, Source, settle};
pub use word::{NONE, add as add_word, step as step_word, sum as sum_of_words};
