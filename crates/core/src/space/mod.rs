//! A space as this process has it open.

mod deferral;
pub mod deferred_free;
mod driver;
mod growth;
pub mod hole;
#[cfg(not(loom))]
pub mod listener;
pub mod lookout;
mod open;
pub mod pending_block;
pub mod pin;
mod policy;
pub mod reading;
#[cfg(not(loom))]
pub mod sleeper;

pub use open::{Blocks, Caller, Deferred, Hooks, Job, Space};
pub use policy::{AT_ONCE, Slice, WaitPolicy, at_once, unlimited, until_signal, within};
