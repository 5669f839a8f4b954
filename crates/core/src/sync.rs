//! The one door to atomics: `core::sync::atomic`, or loom's under `cfg(loom)`.
//!
//! Orderings are named where they are used, each with its partner. `compiler_fence` parts the
//! stores whose *program order* a crash depends on: a killed process leaves a prefix of its
//! machine stores, so only the compiler could put them in another order.
#![allow(clippy::disallowed_types)]

#[cfg(not(loom))]
pub use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence,
};

/// Under loom a crash is a thread that stops between two modelled stores: nothing to order.
#[cfg(loom)]
pub fn compiler_fence(_: Ordering) {}

/// One PAUSE of a spin loop (about 25 ns); under loom, a point where others run.
#[inline]
pub fn relax() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
