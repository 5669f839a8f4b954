//! Which objects a participant holds: a row and a reference for each handle.

use super::row::{Missing, REFERENCES, living, place, unreference, with_tables};
use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result};
use crate::memory::layout::{self, WORD, slot};
use crate::object::rows::{self, Place};
use crate::process::membership_cache::ObjectId;
use crate::process::participant::{Me, Participant};
use crate::space::{Caller, Job, Space, deferred_free, pin};
use crate::sync::Ordering;
use std::collections::HashMap;

pub const MEMBER_ROW: u64 = WORD;

pub(super) fn members(me: Me) -> u64 {
    layout::slot_record(me.slot) + slot::MEMBERS
}

pub(super) fn settle(
    space: &Space,
    member_row: u64,
    made: Result<ObjectId>,
) -> Result<(ObjectId, u64)> {
    match made {
        Ok(id) => {
            space.membership_cache.hold(member_row, id);
            Ok((id, member_row))
        }
        Err(error) => {
            space.membership_cache.forget(member_row);
            Err(error)
        }
    }
}

/// Gives a membership back; the object goes with its last reference. Where that would take waiting,
/// it is done later.
pub fn let_go(space: &Space, participant: &Participant, member_row: u64) {
    space.membership_cache.retire(member_row);
    let numbers = [member_row, 0, 0, 0, 0, 0];
    if !space.hold_back(participant, &LEAVE, numbers) {
        space.now_or_later(participant, &LEAVE, numbers);
    }
}

/// As `let_go`, by who can wait.
///
/// # Errors
/// `Interrupted` and `TimedOut` as the wait policy says: it is done later.
pub fn leave(caller: Caller, member_row: u64) -> Result<()> {
    let Caller {
        space, participant, ..
    } = caller;
    space.membership_cache.retire(member_row);
    let numbers = [member_row, 0, 0, 0, 0, 0];
    if space.hold_back(participant, &LEAVE, numbers) {
        return Ok(());
    }
    let mut done = space.catch_up(caller.wait);
    if done.is_ok() && space.is_behind() {
        // Another thread is at what comes before this.
        space.defer(participant, &LEAVE, numbers);
        return Ok(());
    }
    if done.is_ok() {
        done = (LEAVE.run)(caller, &numbers);
    }
    if matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
        space.defer(participant, &LEAVE, numbers);
    }
    done
}

/// Of a retired row.
static LEAVE: Job = Job {
    run: |caller, &[member_row, ..]| {
        with_tables(caller, |operation| {
            let member = place!(
                &caller.space.segment,
                members(caller.participant.me),
                member_row,
                MEMBER_ROW
            );
            drop_member(caller.space, operation, member)?;
            operation.commit();
            Ok(Ok(()))
        })?;
        caller.space.membership_cache.release(member_row);
        let swept = deferred_free::run(caller).and_then(|()| pin::sweep(caller));
        match swept {
            Err(Error::Interrupted | Error::TimedOut) => {
                caller.space.sweep_later(caller.participant)
            }
            swept => swept?,
        }
        Ok(())
    },
    inherit: |space, &[member_row, ..]| space.membership_cache.release(member_row),
};

/// Writes the entries that empty a membership row and take its reference away.
pub(crate) fn drop_member(space: &Space, operation: &mut Operation, member: u64) -> Attempt<()> {
    let row = operation.read(member);
    if row != 0 {
        unreference(space, operation, row - 1)?;
        operation.write(member, 0);
    }
    Ok(())
}

/// Records in `participant`'s table what the membership cache says: a child's before it is forked, or
/// our own in a child forked behind our back. An object that is gone is left out and named. The
/// records are `participant`'s own, since nobody else's may name its rows.
///
/// # Errors
/// `Full`, `System`.
///
/// # Crash
/// The rows already written go back when `participant`'s slot is drained.
pub fn copy_members(caller: Caller) -> Result<Vec<u64>> {
    let mut lost = Vec::new();
    for (row, id) in caller.space.membership_cache.all() {
        if !add_member(caller, row, id)? {
            lost.push(row);
        }
    }
    Ok(lost)
}

/// Takes a membership in an empty row of ours; false if the object is gone.
pub(super) fn add_member(caller: Caller, row: u64, id: ObjectId) -> Result<bool> {
    with_tables(caller, |operation| {
        let Ok(at) = living(operation, id) else {
            return Ok(Ok(false));
        };
        let member = place!(
            &caller.space.segment,
            members(caller.participant.me),
            row,
            MEMBER_ROW
        );
        let references = operation.read(at + REFERENCES);
        operation.write(at + REFERENCES, references.wrapping_add(1));
        operation.write(member, id.row + 1);
        operation.commit();
        Ok(Ok(true))
    })
}

/// Makes our table say what the membership cache does: in a child whose parent changed it between the
/// copy and the fork. An object that is gone is forgotten.
///
/// # Errors
/// `Full`, `System`.
///
/// # Crash
/// Each row is a record of its own.
pub fn settle_members(caller: Caller) -> Result<()> {
    let space = caller.space;
    let segment = &space.segment;
    let held: HashMap<u64, ObjectId> = space.membership_cache.all().into_iter().collect();
    for (row, at) in rows::each(segment, members(caller.participant.me), MEMBER_ROW)? {
        let named = segment.word(at).load(Ordering::Relaxed);
        if named != 0 && held.get(&row).is_none_or(|id| id.row + 1 != named) {
            with_tables(caller, |operation| {
                drop_member(space, operation, at)?;
                operation.commit();
                Ok(Ok(()))
            })?;
        }
    }
    for (row, id) in held {
        if !is_member(space, caller.participant, row, id) && !add_member(caller, row, id)? {
            space.membership_cache.forget(row);
        }
    }
    Ok(())
}

/// Whether our membership row names the object: after a fork, that the copy succeeded.
pub fn is_member(space: &Space, participant: &Participant, row: u64, id: ObjectId) -> bool {
    let head = members(participant.me);
    let Ok(Place::At(at)) = rows::place(&space.segment, head, row, MEMBER_ROW) else {
        return false;
    };
    space.membership_cache.holds(row, id)
        && space.segment.word(at).load(Ordering::Relaxed) == id.row + 1
}
