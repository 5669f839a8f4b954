//! Phase (b) of recovery, and forks.

pub mod drain;
pub mod fork;
mod hooks;

pub use hooks::HOOKS;
