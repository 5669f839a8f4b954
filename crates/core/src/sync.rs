//! The one door to atomics: `core::sync::atomic`, or loom's under `cfg(loom)`, in types of our
//! own, so that clippy can forbid the others everywhere else.
//!
//! Orderings are named where they are used, each with its partner. `compiler_fence` parts the
//! stores whose *program order* a crash depends on: a killed process leaves a prefix of its
//! machine stores, so only the compiler could put them in another order.
#![allow(clippy::disallowed_types)]

#[cfg(not(loom))]
use core::sync::atomic;
#[cfg(loom)]
use loom::sync::atomic;

pub use atomic::{Ordering, fence};
#[cfg(not(loom))]
pub use core::sync::atomic::compiler_fence;

#[cfg(loom)]
pub use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{Mutex, MutexGuard};

/// Under loom a crash is a thread that stops between two modelled stores: nothing to order.
#[cfg(loom)]
pub fn compiler_fence(_: Ordering) {}

#[cfg(loom)]
use crate::mortal::step;

/// Where a process of a model may die: before each change of a word.
#[cfg(not(loom))]
#[inline(always)]
fn step() {}

macro_rules! door {
    ($($name:ident: $value:ty $(, $extra:ident)*;)*) => { $(
        /// As in `core::sync::atomic`.
        #[derive(Debug)]
        #[repr(transparent)]
        pub struct $name(atomic::$name);

        impl $name {
            /// A static needs no lazy latch, which a fork could find half done.
            #[cfg(not(loom))]
            pub const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            #[cfg(loom)]
            pub fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            #[inline(always)]
            pub fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            #[inline(always)]
            pub fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            #[inline(always)]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.swap(value, order)
            }

            /// # Errors
            /// The value found, if it was not `current`.
            #[inline(always)]
            pub fn compare_exchange(
                &self, current: $value, new: $value, success: Ordering, failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                self.0.compare_exchange(current, new, success, failure)
            }

            $(
                #[inline(always)]
                pub fn $extra(&self, value: $value, order: Ordering) -> $value {
                    step();
                    self.0.$extra(value, order)
                }
            )*
        }
    )* };
}

door! {
    AtomicBool: bool;
    AtomicU8: u8, fetch_add;
    AtomicU16: u16, fetch_add;
    AtomicU32: u32, fetch_add;
    AtomicU64: u64, fetch_add, fetch_and, fetch_max, fetch_min, fetch_or;
    AtomicI32: i32;
}

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Default for AtomicU64 {
    fn default() -> Self {
        Self::new(0)
    }
}

/// As in `core::sync::atomic`.
#[repr(transparent)]
pub struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> Default for AtomicPtr<T> {
    fn default() -> Self {
        Self(atomic::AtomicPtr::new(core::ptr::null_mut()))
    }
}

impl<T> AtomicPtr<T> {
    #[inline(always)]
    pub fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
        self.0.swap(value, order)
    }

    #[inline(always)]
    pub fn load(&self, order: Ordering) -> *mut T {
        self.0.load(order)
    }

    #[inline(always)]
    pub fn store(&self, value: *mut T, order: Ordering) {
        self.0.store(value, order);
    }

    /// # Errors
    /// The pointer found, if it was not `current`.
    pub fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.0.compare_exchange(current, new, success, failure)
    }
}

/// One PAUSE of a spin loop (about 25 ns); under loom, a point where others run.
#[inline]
pub fn relax() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
