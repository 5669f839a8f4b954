//! An object as its own class sees it.

use super::class::Object;
use super::handle::Handle;
use crate::abi::{Pointer, native};
use pyo3::PyClass;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use std::ops::Deref;

/// What every object has, and what its native class adds.
pub struct This<'a, T> {
    pub handle: &'a Handle,
    own: &'a T,
}

impl<T> Clone for This<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for This<'_, T> {}

impl<'a, T: PyClass<Frozen = True> + Sync> This<'a, T> {
    /// An object of a class right above `Object`.
    pub fn of(slf: &'a Bound<'_, T>) -> This<'a, T>
    where
        T: PyClass<BaseType = Object>,
    {
        let handle = &slf.as_super().get().handle;
        let own = slf.get();
        This { handle, own }
    }

    /// `self` of a function that CPython calls.
    ///
    /// # Safety
    /// As `native`, of a `T`.
    #[inline(always)]
    pub unsafe fn native(slf: Pointer) -> This<'a, T> {
        // SAFETY: as the caller promised; each native class has `Object` below it.
        let handle = &unsafe { native::<Object>(slf) }.handle;
        // SAFETY: as the caller promised.
        let own = unsafe { native::<T>(slf) };
        This { handle, own }
    }
}

impl<T> Deref for This<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.own
    }
}
