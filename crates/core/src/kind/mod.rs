//! The kinds of objects: strangers to each other.

pub mod barrier;
mod choice;
pub mod condition;
pub mod flag;
pub mod list;
pub mod mutex;
pub mod queue;
pub mod semaphore;
pub mod table;

pub use choice::{blocks, destroy, free_step, settle};
#[cfg(not(loom))] // models have no reports
pub use choice::{of, sample};
