//! A space as this process has it open.

mod deferral;
pub mod doom;
mod growth;
pub mod hole;
pub mod lookout;
mod open;
pub mod pin;
pub mod reading;
pub mod unfinished;

pub use open::{
    AT_ONCE, Blocks, Deferred, Hooks, Job, Patience, Slice, Space, at_once, patient, until_signal,
    within,
};
