//! The list behind lists and deques: value words in a ring.
//!
//! An object of kind `LIST`; its lock, the user's (`get_lock()`) and every writer's, guards all of it.
//! In the payload is the *root*:
//!
//! | at | word     | meaning                                                  |
//! | -- | -------- | -------------------------------------------------------- |
//! |  0 | block    | the ring's block; 0: none                                |
//! |  8 | capacity | words of the ring                                        |
//! | 16 | start    | which of them is the first element                       |
//! | 24 | length   | how many elements there are                              |
//! | 32 | most     | as many as there may be, + 1; 0: any number            |
//!
//! The ring's block: `first | left | words`. The two say which elements a block that is being freed
//! still names; as long as a list has it they are 0.
//!
//! What is outside of the elements means nothing, so new ones are written there, and one record
//! makes them count. Elements in place change by a record, and so does what is between a change inside
//! and the nearer end. All else (sorting, what leaves every other) is built aside, and one record
//! exchanges the rings.
//!
//! Readers take no lock: they copy out under the object's sequence.

mod batch;
mod create;
mod destroy;
mod end;
mod fast;
mod grow;
mod kind;
mod most;
mod read;
mod rebuild;
mod splice;
mod state;

pub use batch::Batch;
pub use create::create;
pub use end::{End, drop_end, extend, pop, pop_if, push, rotate};
pub use fast::{append_fast, peek, pop_fast, set_fast};
pub use kind::{KIND, RING};
pub use most::{bound, most, set_most};
pub use read::{Places, Token, get, look, snapshot};
pub use rebuild::{Piece, clear, rebuild, set};
pub use splice::{replace, splice};
pub use state::{LENGTH, List, count, version};
