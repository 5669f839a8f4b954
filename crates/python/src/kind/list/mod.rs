//! `courtyard.List` and `courtyard.Deque`.

mod change;
mod class;
mod fast;
mod item;
mod place;
mod slot;
mod state;

pub use fast::install;
pub use state::{Deque, List, Sequence};
