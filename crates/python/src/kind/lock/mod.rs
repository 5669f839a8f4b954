//! `courtyard.Lock` and `courtyard.RLock`.

mod class;
mod fast;
mod state;

pub use class::{Lock, RLock};
pub use fast::install;
