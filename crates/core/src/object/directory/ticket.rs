//! Pickles under way: each a reference, released by its first load or after its sender.

use super::member::{MEMBER_ROW, members, settle};
use super::row::{Missing, REFERENCES, living, place, unreference, with_tables};
use crate::change::operation::Operation;
use crate::error::Result;
use crate::memory::layout::{self, superblock};
use crate::object::rows::{self, Place};
use crate::os;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::State;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::sync::Ordering;

pub const TICKET_ROW: u64 = 32;

const TICKET_OBJECT: u64 = 8;

const SENDER: u64 = 16;

const DEADLINE: u64 = 24;

/// Seconds that a ticket outlives its sender.
const GRACE: u64 = 60;

/// A pickle of an object under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    pub row: u64,
    pub id: u64,
}

impl Ticket {
    /// None was sent: who receives takes a reference of its own, while the object lives.
    pub const NONE: Ticket = Ticket { row: 0, id: 0 };
}

/// Records a reference for a pickle about to leave this process.
///
/// # Errors
/// `NotFound` if the object is gone; `Full`.
pub fn send(caller: Caller, id: ObjectId) -> Result<Ticket> {
    let segment = &caller.space.segment;
    let number = segment
        .word(superblock::NEXT_TICKET_ID)
        .fetch_add(1, Ordering::Relaxed)
        .wrapping_add(1);
    with_tables(caller, |operation| {
        let at = living(operation, id)?;
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
        let me = caller.participant.me;
        operation.write(ticket, number);
        operation.write(ticket + TICKET_OBJECT, id.row + 1);
        operation.write(ticket + SENDER, u64::from(me.generation) << 32 | me.slot);
        operation.write(ticket + DEADLINE, 0);
        let open = operation.read(superblock::OPEN_TICKETS);
        operation.write(superblock::OPEN_TICKETS, open.wrapping_add(1));
        let references = operation.read(at + REFERENCES);
        operation.write(at + REFERENCES, references.wrapping_add(1));
        operation.commit();
        Ok(Ok(Ticket { row, id: number }))
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
pub fn receive(caller: Caller, id: ObjectId, ticket: Ticket) -> Result<u64> {
    let space = caller.space;
    let segment = &space.segment;
    space.settle_up(caller.wait)?;
    let member_row = space.membership_cache.reserve();
    let made = with_tables(caller, |operation| {
        let at = living(operation, id)?;
        let member = place!(
            segment,
            members(caller.participant.me),
            member_row,
            MEMBER_ROW
        );
        let open = match rows::place(segment, superblock::TICKETS, ticket.row, TICKET_ROW)? {
            Place::At(place) if ticket != Ticket::NONE && operation.read(place) == ticket.id => {
                Some(place)
            }
            _ => None,
        };
        if let Some(place) = open {
            close(operation, ticket.row, place);
        } else {
            let references = operation.read(at + REFERENCES);
            operation.write(at + REFERENCES, references.wrapping_add(1));
        }
        operation.write(member, id.row + 1);
        operation.commit();
        Ok(Ok(id))
    });
    settle(space, member_row, made).map(|(_, row)| row)
}

/// Closes tickets whose senders died more than a minute ago.
///
/// # Errors
/// `Interrupted`, `Corrupt`.
pub fn expire(caller: Caller) -> Result<()> {
    let segment = &caller.space.segment;
    if segment
        .word(superblock::OPEN_TICKETS)
        .load(Ordering::Relaxed)
        == 0
    {
        return Ok(());
    }
    let now = os::boot_clock().as_secs();
    let lives = |sender: u64| {
        let state = State::read(segment, (sender & 0xFFFF_FFFF) % layout::SLOTS);
        u64::from(state.generation) == sender >> 32
    };
    for (row, ticket) in rows::each(segment, superblock::TICKETS, TICKET_ROW)? {
        let read = |offset| segment.word(ticket + offset).load(Ordering::Relaxed);
        if read(0) == 0 || lives(read(SENDER)) {
            continue; // a look without the lock; what it finds is looked at again
        }
        with_tables(caller, |operation| {
            let deadline = operation.read(ticket + DEADLINE);
            if operation.read(ticket) == 0 || lives(operation.read(ticket + SENDER)) {
                return Ok(Ok(()));
            }
            if deadline == 0 {
                operation.write(ticket + DEADLINE, now + GRACE);
            } else if now > deadline {
                let id = operation.read(ticket + TICKET_OBJECT);
                close(operation, row, ticket);
                if seeded(Bug::TicketInTwo) {
                    operation.commit();
                }
                unreference(caller.space, operation, id.wrapping_sub(1))?;
            }
            operation.commit();
            Ok(Ok(()))
        })?;
    }
    Ok(())
}

/// The objects that open tickets name, one entry a ticket. The directory lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn tickets(operation: &Operation) -> Result<Vec<u64>> {
    let rows = rows::each(operation.segment, superblock::TICKETS, TICKET_ROW)?;
    let open = rows.into_iter().filter(|&(_, at)| operation.read(at) != 0);
    room::collect(open.map(|(_, at)| operation.read(at + TICKET_OBJECT).wrapping_sub(1)))
}
