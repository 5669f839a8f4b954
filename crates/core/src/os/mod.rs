//! The one door to the operating system, one file per platform. Faults are injected here.

pub mod fault;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!(
    "courtyard runs on Linux; other systems need a file of their own in crates/core/src/os"
);
