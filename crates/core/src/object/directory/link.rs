//! References that values hold, and memberships of the objects that they name.

use super::member::add_member;
use super::row::{REFERENCES, living, unreference};
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::process::membership_cache::ObjectId;
use crate::space::{Caller, Space};

/// Writes the entry that counts one more reference; the directory lock is held.
///
/// # Errors
/// `NotFound` if the object is gone.
pub(crate) fn link(operation: &mut Operation, id: ObjectId) -> Result<()> {
    let at = living(operation, id)?;
    let references = operation.read(at + REFERENCES);
    operation.write(at + REFERENCES, references.wrapping_add(1));
    Ok(())
}

/// Writes the entries that take such a reference away, and the object apart with the last; the
/// directory lock is held.
///
/// # Errors
/// `Stop` as taking the object apart has it; `Corrupt` if it has no reference.
pub(crate) fn unlink(space: &Space, operation: &mut Operation, id: ObjectId) -> Attempt<()> {
    if living(operation, id).is_err() {
        return Err(corrupt(format!("a value keeps object {}, which is gone", id.row)).into());
    }
    unreference(space, operation, id.row)
}

/// Takes a membership of an object that a value names. None: it is gone, since the value was
/// replaced after it was read.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`.
pub fn join(caller: Caller, id: ObjectId) -> Result<Option<u64>> {
    let space = caller.space;
    space.settle_up(caller.wait)?;
    let row = space.membership_cache.reserve();
    match add_member(caller, row, id) {
        Ok(true) => {
            space.membership_cache.hold(row, id);
            Ok(Some(row))
        }
        not => {
            space.membership_cache.forget(row);
            not.map(|_| None)
        }
    }
}
