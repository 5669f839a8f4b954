//! What is in a space, and whether it makes sense.

#[cfg(not(loom))]
pub mod census;
#[cfg(not(loom))]
pub mod check;
#[cfg(not(loom))]
pub mod inspect;
