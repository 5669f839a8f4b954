//! Lock words that death releases.

mod acquire;
mod asking;
mod batch;
mod word;

pub use acquire::{Tried, WaitOutcome, Waiter, cpu_flags, is_held, owner, release, try_acquire};
pub use asking::{longer, since, turn};
pub use batch::{FIRST, SECOND, kept};
pub use word::{PROBE, RECOVERED, WAITERS, is_free, is_held_by};
