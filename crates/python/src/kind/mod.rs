//! The kinds of objects: each folder has a kind's native classes and their fast path, and knows no
//! other kind.

pub mod array;
pub mod barrier;
mod choice;
pub mod condition;
pub mod dict;
pub mod event;
pub mod list;
pub mod lock;
pub mod queue;
pub mod semaphore;
pub mod value;

pub use choice::{adopt, install};
