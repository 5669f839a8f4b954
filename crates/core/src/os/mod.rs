//! The one door to the operating system, one file per platform. Faults are injected here.

#[cfg(not(loom))]
pub mod fault;

#[cfg(all(target_os = "linux", not(loom)))]
mod linux;
#[cfg(all(target_os = "linux", not(loom)))]
pub use linux::*;

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub use model::*;

#[cfg(not(target_os = "linux"))]
compile_error!(
    "courtyard runs on Linux; other systems need a file of their own in crates/core/src/os"
);
