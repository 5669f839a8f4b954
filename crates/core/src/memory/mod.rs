//! Memory that processes share: the segment, where things are in it, copying, and the points at which
//! a test dies.

#[cfg(not(loom))]
mod content;
#[cfg(not(loom))]
pub mod copy;
pub mod crash;
pub mod layout;
#[cfg(not(loom))]
pub mod segment;
#[cfg(loom)]
#[path = "segment_model.rs"]
pub mod segment;
pub mod superblock;

pub(crate) use crash::crash_point;
