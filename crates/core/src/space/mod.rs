//! A space as this process has it open.

mod deferral;
pub mod doom;
mod driver;
mod growth;
pub mod hole;
pub mod lookout;
mod open;
pub mod pin;
mod policy;
pub mod reading;
pub mod unfinished;

pub use open::{Blocks, Caller, Deferred, Hooks, Job, Space};
pub use policy::{AT_ONCE, Slice, WaitPolicy, at_once, unlimited, until_signal, within};
