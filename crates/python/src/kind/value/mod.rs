//! `courtyard.Value` and `courtyard.RawValue`.

mod bytes;
mod class;
mod fast;
mod guarded;
mod operation;
mod state;
mod view;

pub use fast::install;
pub use guarded::Value;
pub use state::RawValue;
