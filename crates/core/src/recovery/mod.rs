//! Phase (b) of recovery, forks, and a process's own end.

pub mod drain;
pub mod fork;
mod hooks;
mod leave;

pub use hooks::HOOKS;
pub use leave::leave;
