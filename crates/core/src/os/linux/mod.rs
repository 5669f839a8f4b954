//! Linux, 4.18 and later. Every function here is one system call, or one with its fallback.

mod barrier;
mod call;
mod carrier;
mod memory;
mod record;
mod several;
mod thread;

pub use barrier::{barrier, enlist};
pub use call::*;
pub use carrier::{Carrier, close};
pub use memory::*;
pub use record::Record;
pub use several::*;
pub use thread::{before_thread_exit, before_threads_exit, spawn_without_signals};
