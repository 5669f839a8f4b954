//! `courtyard.Semaphore` and `courtyard.BoundedSemaphore`.

mod class;
mod fast;

pub use class::Semaphore;
pub use fast::install;
