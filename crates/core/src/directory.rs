//! Which objects there are, who holds them, and which pickles are under way.
//!
//! An object's row: `serial | root block | references | kind`; in a free row the serial is 0 and
//! the last word is the next free row + 1. References are the memberships, the open tickets and
//! (with the containers) the links. The row outlives the object, so that a serial is always
//! checked against a serial, never against another object's data.
//!
//! A ticket's row: `id | object row + 1 | sender | deadline`; in a free row the id is 0 and the
//! second word the next free row + 1. All of it is guarded by the directory lock.

use crate::error::{Attempt, Error, Result, corrupt};
use crate::layout::{self, WORD, slot, superblock};
use crate::operation::Operation;
use crate::os;
use crate::participant::{Me, Participant, State};
use crate::roster::ObjectId;
use crate::rows::{self, Place};
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use crate::unfinished::Unfinished;
use std::collections::HashMap;

pub const OBJECT_ROW: u64 = 32;
const ROOT: u64 = 8;
const REFERENCES: u64 = 16;
const KIND: u64 = 24;

pub const TICKET_ROW: u64 = 32;
const TICKET_OBJECT: u64 = 8;
const SENDER: u64 = 16;
const DEADLINE: u64 = 24;
/// Seconds that a ticket outlives its sender.
const GRACE: u64 = 60;

pub const MEMBER_ROW: u64 = WORD;

/// A segment of a table that an attempt found missing.
#[derive(Clone, Copy)]
struct Missing {
    head: u64,
    part: u64,
    size: u64,
}

fn members(me: Me) -> u64 {
    layout::slot_record(me.slot) + slot::MEMBERS
}

/// Carries out an operation on the tables, extending them as it asks.
fn with_tables<T>(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    mut body: impl FnMut(&mut Operation) -> Attempt<std::result::Result<T, Missing>>,
) -> Result<T> {
    loop {
        let done = space.run_as(participant, patience, |operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            body(operation)
        })?;
        match done {
            Ok(value) => return Ok(value),
            Err(missing) => {
                rows::extend(
                    space,
                    participant,
                    patience,
                    missing.head,
                    missing.part,
                    missing.size,
                )?;
            }
        }
    }
}

/// A row's place, or the segment to add first.
macro_rules! place {
    ($segment:expr, $head:expr, $row:expr, $size:expr) => {
        match rows::place($segment, $head, $row, $size)? {
            Place::At(at) => at,
            Place::Missing(part) => {
                return Ok(Err(Missing {
                    head: $head,
                    part,
                    size: $size,
                }))
            }
        }
    };
}

fn object_at(segment: &Segment, row: u64) -> Result<u64> {
    match rows::place(segment, superblock::OBJECTS, row, OBJECT_ROW)? {
        Place::At(at) => Ok(at),
        Place::Missing(_) => Err(corrupt(format!("there is no object row {row}"))),
    }
}

/// The place of an object that is alive.
fn living(operation: &Operation, object: ObjectId) -> Result<u64> {
    let gone = || {
        Error::NotFound(
            "the object is gone: its last holder closed it or ended before this handle was \
             loaded; keep it in the sending process until the receiver has it"
                .into(),
        )
    };
    let at = object_at(operation.segment, object.row).map_err(|_| gone())?;
    if operation.read(at) == object.serial {
        Ok(at)
    } else {
        Err(gone())
    }
}

/// Makes an object of a filled root block, held by this process. Returns the object and the
/// row of our membership.
///
/// # Errors
/// `Full`, with nothing changed.
///
/// # Crash
/// One record: the block is unfinished before it, and a member's after it.
pub fn create(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    root: &Unfinished,
    kind: u64,
) -> Result<(ObjectId, u64)> {
    let segment = &space.segment;
    let block = root.block();
    let serial = segment
        .word(block + layout::block::SERIAL)
        .load(Ordering::Relaxed);
    let member_row = space.roster.reserve();
    let made = with_tables(space, participant, patience, |operation| {
        let free = operation.read(superblock::FREE_OBJECT);
        let row = if free == 0 {
            operation.read(superblock::NEXT_OBJECT)
        } else {
            free - 1
        };
        let at = place!(segment, superblock::OBJECTS, row, OBJECT_ROW);
        let member = place!(segment, members(participant.me), member_row, MEMBER_ROW);
        if free == 0 {
            operation.write(superblock::NEXT_OBJECT, row + 1);
        } else {
            let next = operation.read(at + KIND);
            operation.write(superblock::FREE_OBJECT, next);
        }
        operation.write(at, serial);
        operation.write(at + ROOT, block);
        operation.write(at + REFERENCES, 1);
        operation.write(at + KIND, kind);
        operation.write(member, row + 1);
        let live = operation.read(superblock::LIVE_OBJECTS);
        operation.write(superblock::LIVE_OBJECTS, live.wrapping_add(1));
        root.pass_on(operation, 0);
        operation.commit();
        Ok(Ok(ObjectId { row, serial }))
    });
    settle(space, member_row, made)
}

fn settle(space: &Space, member_row: u64, made: Result<ObjectId>) -> Result<(ObjectId, u64)> {
    match made {
        Ok(object) => {
            space.roster.hold(member_row, object);
            Ok((object, member_row))
        }
        Err(error) => {
            space.roster.forget(member_row);
            Err(error)
        }
    }
}

/// Writes the entries that take one reference away, and the object apart with the last.
fn unreference(space: &Space, operation: &mut Operation, row: u64) -> Attempt<()> {
    let at = object_at(operation.segment, row)?;
    let references = operation.read(at + REFERENCES);
    if operation.read(at) == 0 || references == 0 {
        return Err(corrupt(format!("object row {row} has no reference to take away")).into());
    }
    operation.write(at + REFERENCES, references - 1);
    if references > 1 {
        return Ok(());
    }
    let (kind, root) = (operation.read(at + KIND), operation.read(at + ROOT));
    (space.hooks.dismantle)(operation, kind, root)?;
    let free = operation.read(superblock::FREE_OBJECT);
    operation.write(at, 0);
    operation.write(at + ROOT, 0);
    operation.write(at + KIND, free);
    operation.write(superblock::FREE_OBJECT, row + 1);
    let live = operation.read(superblock::LIVE_OBJECTS);
    operation.write(superblock::LIVE_OBJECTS, live.saturating_sub(1));
    Ok(())
}

/// Gives a membership back; the object goes with its last reference.
///
/// # Errors
/// `Interrupted` as `patience` says: the membership then stays until this process ends.
pub fn leave(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    member_row: u64,
) -> Result<()> {
    with_tables(space, participant, patience, |operation| {
        let member = place!(
            &space.segment,
            members(participant.me),
            member_row,
            MEMBER_ROW
        );
        drop_member(space, operation, member)?;
        operation.commit();
        Ok(Ok(()))
    })?;
    space.roster.forget(member_row);
    Ok(())
}

/// Writes the entries that empty a membership row and take its reference away.
pub(crate) fn drop_member(space: &Space, operation: &mut Operation, member: u64) -> Attempt<()> {
    let row = operation.read(member);
    if row != 0 {
        unreference(space, operation, row - 1)?;
        operation.write(member, 0);
    }
    Ok(())
}

/// A pickle of an object under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    pub row: u64,
    pub id: u64,
}

/// Records a reference for a pickle about to leave this process.
///
/// # Errors
/// `NotFound` if the object is gone; `Full`.
pub fn send(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    object: ObjectId,
) -> Result<Ticket> {
    let segment = &space.segment;
    let id = segment
        .word(superblock::NEXT_TICKET_ID)
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_add(1);
    with_tables(space, participant, patience, |operation| {
        let at = living(operation, object)?;
        let free = operation.read(superblock::FREE_TICKET);
        let row = if free == 0 {
            operation.read(superblock::NEXT_TICKET_ROW)
        } else {
            free - 1
        };
        let ticket = place!(segment, superblock::TICKETS, row, TICKET_ROW);
        if free == 0 {
            operation.write(superblock::NEXT_TICKET_ROW, row + 1);
        } else {
            let next = operation.read(ticket + TICKET_OBJECT);
            operation.write(superblock::FREE_TICKET, next);
        }
        let me = participant.me;
        operation.write(ticket, id);
        operation.write(ticket + TICKET_OBJECT, object.row + 1);
        operation.write(ticket + SENDER, u64::from(me.generation) << 32 | me.slot);
        operation.write(ticket + DEADLINE, 0);
        let open = operation.read(superblock::OPEN_TICKETS);
        operation.write(superblock::OPEN_TICKETS, open.wrapping_add(1));
        let references = operation.read(at + REFERENCES);
        operation.write(at + REFERENCES, references.wrapping_add(1));
        operation.commit();
        Ok(Ok(Ticket { row, id }))
    })
}

/// Writes the entries that close a ticket, but for its reference.
fn close(operation: &mut Operation, row: u64, ticket: u64) {
    let free = operation.read(superblock::FREE_TICKET);
    operation.write(ticket, 0);
    operation.write(ticket + TICKET_OBJECT, free);
    operation.write(superblock::FREE_TICKET, row + 1);
    let open = operation.read(superblock::OPEN_TICKETS);
    operation.write(superblock::OPEN_TICKETS, open.saturating_sub(1));
}

/// Loads a pickle: the first load turns its ticket into our membership, a later one takes a
/// reference of its own while the object lives.
///
/// # Errors
/// `NotFound` if the object is gone; `Full`.
pub fn receive(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    object: ObjectId,
    ticket: Ticket,
) -> Result<u64> {
    let segment = &space.segment;
    let member_row = space.roster.reserve();
    let made = with_tables(space, participant, patience, |operation| {
        let at = living(operation, object)?;
        let member = place!(segment, members(participant.me), member_row, MEMBER_ROW);
        let open = match rows::place(segment, superblock::TICKETS, ticket.row, TICKET_ROW)? {
            Place::At(place) if operation.read(place) == ticket.id => Some(place),
            _ => None,
        };
        if let Some(place) = open {
            close(operation, ticket.row, place);
        } else {
            let references = operation.read(at + REFERENCES);
            operation.write(at + REFERENCES, references.wrapping_add(1));
        }
        operation.write(member, object.row + 1);
        operation.commit();
        Ok(Ok(object))
    });
    settle(space, member_row, made).map(|(_, row)| row)
}

/// Records in `participant`'s table what the roster says: a child's before it is forked, or our
/// own in a child forked behind our back. An object that is gone is left out and named. The
/// records are `participant`'s own, since nobody else's may name its rows.
///
/// # Errors
/// `Full`, `System`.
///
/// # Crash
/// The rows already written go back when `participant`'s slot is drained.
pub fn copy_members(
    space: &Space,
    participant: &Participant,
    patience: Patience,
) -> Result<Vec<u64>> {
    let mut lost = Vec::new();
    for (row, object) in space.roster.all() {
        if !add_member(space, participant, patience, row, object)? {
            lost.push(row);
        }
    }
    Ok(lost)
}

/// Takes a membership in an empty row of ours; false if the object is gone.
fn add_member(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    row: u64,
    object: ObjectId,
) -> Result<bool> {
    with_tables(space, participant, patience, |operation| {
        let Ok(at) = living(operation, object) else {
            return Ok(Ok(false));
        };
        let member = place!(&space.segment, members(participant.me), row, MEMBER_ROW);
        let references = operation.read(at + REFERENCES);
        operation.write(at + REFERENCES, references + 1);
        operation.write(member, object.row + 1);
        operation.commit();
        Ok(Ok(true))
    })
}

/// Makes our table say what the roster does: in a child whose parent changed it between the copy
/// and the fork. An object that is gone is forgotten.
///
/// # Errors
/// `Full`, `System`.
///
/// # Crash
/// Each row is a record of its own.
pub fn settle_members(space: &Space, participant: &Participant, patience: Patience) -> Result<()> {
    let segment = &space.segment;
    let held: HashMap<u64, ObjectId> = space.roster.all().into_iter().collect();
    for (row, at) in rows::each(segment, members(participant.me), MEMBER_ROW)? {
        let named = segment.word(at).load(Ordering::Relaxed);
        if named != 0 && held.get(&row).is_none_or(|object| object.row + 1 != named) {
            with_tables(space, participant, patience, |operation| {
                drop_member(space, operation, at)?;
                operation.commit();
                Ok(Ok(()))
            })?;
        }
    }
    for (row, object) in held {
        if !is_member(space, participant, row, object)
            && !add_member(space, participant, patience, row, object)?
        {
            space.roster.forget(row);
        }
    }
    Ok(())
}

/// Closes tickets whose senders died more than a minute ago.
///
/// # Errors
/// `Interrupted`, `Corrupt`.
pub fn expire(space: &Space, participant: &Participant, patience: Patience) -> Result<()> {
    let segment = &space.segment;
    if segment
        .word(superblock::OPEN_TICKETS)
        .load(Ordering::Relaxed)
        == 0
    {
        return Ok(());
    }
    let now = os::boot_clock().as_secs();
    for (row, ticket) in rows::each(segment, superblock::TICKETS, TICKET_ROW)? {
        if segment.word(ticket).load(Ordering::Relaxed) == 0 {
            continue;
        }
        with_tables(space, participant, patience, |operation| {
            let sender = operation.read(ticket + SENDER);
            let state = State::read(segment, (sender & 0xFFFF_FFFF) % layout::SLOTS);
            let deadline = operation.read(ticket + DEADLINE);
            if operation.read(ticket) == 0 || u64::from(state.generation) == sender >> 32 {
                return Ok(Ok(()));
            }
            if deadline == 0 {
                operation.write(ticket + DEADLINE, now + GRACE);
            } else if now > deadline {
                let object = operation.read(ticket + TICKET_OBJECT);
                close(operation, row, ticket);
                unreference(space, operation, object.wrapping_sub(1))?;
            }
            operation.commit();
            Ok(Ok(()))
        })?;
    }
    Ok(())
}

/// The root block of an object that this process holds.
///
/// # Errors
/// `NotFound`, `Corrupt`.
pub fn root(segment: &Segment, object: ObjectId) -> Result<u64> {
    let at = object_at(segment, object.row)?;
    let root = segment.word(at + ROOT).load(Ordering::Relaxed);
    segment.check_range(root, layout::block::LARGE)?;
    Ok(root)
}

/// Whether our membership row names the object: after a fork, that the copy succeeded.
pub fn is_member(space: &Space, participant: &Participant, row: u64, object: ObjectId) -> bool {
    let head = members(participant.me);
    let Ok(Place::At(at)) = rows::place(&space.segment, head, row, MEMBER_ROW) else {
        return false;
    };
    space.roster.holds(row, object)
        && space.segment.word(at).load(Ordering::Relaxed) == object.row + 1
}

/// A live object, as `check` sees it.
#[derive(PartialEq, Eq)]
pub struct Listed {
    pub row: u64,
    pub kind: u64,
    pub root: u64,
    pub references: u64,
}

/// All live objects. The directory lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn list(operation: &Operation) -> Result<Vec<Listed>> {
    let rows = rows::each(operation.segment, superblock::OBJECTS, OBJECT_ROW)?;
    let live = rows.into_iter().filter(|&(_, at)| operation.read(at) != 0);
    Ok(live
        .map(|(row, at)| Listed {
            row,
            kind: operation.read(at + KIND),
            root: operation.read(at + ROOT),
            references: operation.read(at + REFERENCES),
        })
        .collect())
}

/// The objects that open tickets name, one entry a ticket. The directory lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn tickets(operation: &Operation) -> Result<Vec<u64>> {
    let rows = rows::each(operation.segment, superblock::TICKETS, TICKET_ROW)?;
    let open = rows.into_iter().filter(|&(_, at)| operation.read(at) != 0);
    Ok(open
        .map(|(_, at)| operation.read(at + TICKET_OBJECT).wrapping_sub(1))
        .collect())
}
