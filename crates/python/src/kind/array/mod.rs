//! `courtyard.Array` and `courtyard.RawArray`.

mod class;
mod fast;
mod guarded;
mod item;
mod state;
mod view;

pub use fast::install;
pub use guarded::Array;
pub use state::RawArray;
