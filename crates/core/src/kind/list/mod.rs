//! The list behind lists and deques: value words in a ring.

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
