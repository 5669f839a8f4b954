//! `courtyard.Dict`, and what `courtyard.Set` and the others with keys have of it.

mod class;
mod fast;
mod lock;
mod merge;
mod quick;
mod state;
mod table;
mod update;
mod watch;

pub use fast::install;
pub use merge::begin_merge;
pub use state::{Dict, Table};
pub use watch::Watch;
