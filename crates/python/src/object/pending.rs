//! Memberships of objects that are about to get handles: of those that a stored value keeps.

use super::address::Address;
use crate::error::named;
use crate::process;
use courtyard_core::directory;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::participant::Participant;
use courtyard_core::space::Space;
use pyo3::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// Those of the values whose handles this thread is loading, one inside another.
    static PENDING: RefCell<Vec<PendingMembers>> = const { RefCell::new(Vec::new()) };
}

/// Memberships of the objects that a value names, until handles take them over.
pub struct PendingMembers {
    pub space: &'static Space,
    pub participant: &'static Participant,
    pub members: Vec<Option<(ObjectId, u64)>>,
}

impl Drop for PendingMembers {
    fn drop(&mut self) {
        if !std::ptr::eq(self.space.registered(), self.participant) {
            return; // a forked child: they are its parent's
        }
        for (_, row) in self.members.drain(..).flatten() {
            directory::let_go(self.space, self.participant, row);
            process::look_back(self.space);
        }
    }
}

/// The object of an address of a stored value, and our membership, which is the caller's now.
///
/// # Errors
/// `CorruptError` if no value with such a link is being decoded.
pub fn arrive(
    py: Python<'_>,
    address: &Address,
) -> PyResult<(&'static Space, &'static Participant, ObjectId, u64)> {
    let number = address.2 as usize;
    let taken = PENDING.with_borrow_mut(|stack| {
        let pending = stack.last_mut()?;
        let (object, row) = pending.members.get_mut(number)?.take()?;
        Some((pending.space, pending.participant, object, row))
    });
    taken.ok_or_else(|| {
        let what = format!("no stored value has a courtyard object of number {number} here");
        named(py, "CorruptError", what)
    })
}

/// Runs `load`, whose handles take over these memberships.
pub fn importing<T>(pending: PendingMembers, load: impl FnOnce() -> T) -> T {
    PENDING.with_borrow_mut(|stack| stack.push(pending));
    let result = load();
    let ended = PENDING.with_borrow_mut(Vec::pop);
    drop(ended);
    result
}
