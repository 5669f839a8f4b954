//! The barrier: parties that go on together, or learn that one of them cannot.
//!
//! | at           | word    |                                                  |
//! | ------------ | ------- | ------------------------------------------------ |
//! | `cell::DATA` | phase   | see below                                        |
//! | `INSIDE`     | inside  | parties in `wait`, counted in rows of their processes |
//! | `PARTIES`    | parties | how many go on together                          |
//! | `CAUSE`      | cause   | why it broke last: a `Cause`                     |
//! | `MISSED`     | missed  | 1: a party died while nobody waited              |
//!
//! | phase     | meaning                                  | next                               |
//! | --------- | ---------------------------------------- | ---------------------------------- |
//! | FILLING   | parties arrive                           | ACTING with the last; BROKEN, RESETTING |
//! | ACTING    | the last one runs the action             | DRAINING; BROKEN if it failed or died |
//! | DRAINING  | all go on                                | FILLING with the last to leave     |
//! | RESETTING | those inside leave, told that it broke   | FILLING with the last to leave     |
//! | BROKEN    | every wait fails                         | RESETTING or FILLING by a reset    |
//!
//! All guarded by the cell's lock. A process that has joined once is a party, also while it is not
//! inside, until it departs or comes to its end by itself (`slot::ENDED`): its row says so. A party
//! that is killed while others may still wait for it breaks the barrier.
//!
//! | a party is killed    | and                | then                                       |
//! | -------------------- | ------------------ | ------------------------------------------ |
//! | in FILLING           | others are inside  | BROKEN: they may wait for it               |
//! | in FILLING           | nobody is inside   | it is missed                               |
//! | in ACTING            | it is inside       | BROKEN                                     |
//! | in ACTING            | it is not inside   | nothing: all are here without it           |
//! | in DRAINING, RESETTING |                  | it is missed: those inside go on           |
//! | in BROKEN            |                    | nothing: a reset starts over without it    |
//!
//! Where one is missed, another party that joins finds the barrier broken. One that never joined
//! before does not: it may have come in the place of the dead. Once all are here nobody is missed.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::layout::superblock;
use crate::memory::offset::Object;
use crate::memory::segment::Segment;
use crate::object::cell::{self, EVENT};
use crate::object::directory;
use crate::object::holding::{self, HoldingRow, Row};
use crate::object::kind::Kind;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

const PHASE: u64 = cell::DATA;
const INSIDE: u64 = cell::PAYLOAD;
const PARTIES: u64 = cell::PAYLOAD + 8;
const CAUSE: u64 = cell::PAYLOAD + 16;
const MISSED: u64 = cell::PAYLOAD + 24;

/// In a row's amount, beside how many threads are inside: the process is a party.
const PARTY: u64 = 1 << 63;

/// Bytes of payload.
pub const LENGTH: u64 = cell::least(cell::BARRIER);

pub const KIND: Kind = Kind {
    class: "Barrier",
    length: Some(LENGTH),
    settle,
    ..Kind::PLAIN
};

pub const FILLING: u64 = 0;
pub const ACTING: u64 = 1;
pub const DRAINING: u64 = 2;
pub const RESETTING: u64 = 3;
pub const BROKEN: u64 = 4;

/// Why a barrier broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    TimedOut = 1,
    Aborted = 2,
    ActionFailed = 3,
    PartyDied = 4,
    ActionWaits = 5,
}

/// Why it broke last; None: it never did, or nobody said.
pub fn cause(segment: &Segment, cell: Object) -> Option<Cause> {
    match segment.word(cell + CAUSE).load(Ordering::Relaxed) {
        1 => Some(Cause::TimedOut),
        2 => Some(Cause::Aborted),
        3 => Some(Cause::ActionFailed),
        4 => Some(Cause::PartyDied),
        5 => Some(Cause::ActionWaits),
        _ => None,
    }
}

/// Writes the entries that break it.
fn break_for(operation: &mut Operation, cell: Object, cause: Cause) {
    if operation.read(cell + PHASE) != BROKEN {
        operation.write(cell + CAUSE, cause as u64); // the first is the one that counts
    }
    operation.write(cell + PHASE, BROKEN);
}

/// Breaks the barrier, if it is in one of these phases; false: it is not.
///
/// # Errors
/// As `join`.
///
/// # Crash
/// One record.
pub fn mark_broken(caller: Caller, cell: Object, from: &[u64], cause: Cause) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        if !from.contains(&operation.read(cell + PHASE)) {
            return Ok(false);
        }
        break_for(operation, cell, cause);
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// Who waits at which barrier: the row is this process's own.
#[derive(Clone, Copy)]
pub struct Party {
    pub cell: Object,
    pub object: ObjectId,
    pub row: Row,
}

/// How an attempt to join went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined {
    /// The last generation is still leaving: wait and try again.
    NotYet,
    Broken,
    /// The number of those who came before.
    As(u64),
    /// As `As`, and all are here: this one runs the action.
    Last(u64),
}

/// Fills a new one.
pub fn fill(segment: &Segment, cell: Object, parties: u64) {
    let word = segment.word(cell + PARTIES);
    word.store(parties, Ordering::Relaxed);
}

pub fn phase(segment: &Segment, cell: Object) -> u64 {
    segment.word(cell + PHASE).load(Ordering::Acquire) // pairs with apply
}

/// Whether a party died while nobody waited, since all were here last.
pub fn is_missed(segment: &Segment, cell: Object) -> bool {
    segment.word(cell + MISSED).load(Ordering::Relaxed) != 0
}

pub fn parties(segment: &Segment, cell: Object) -> u64 {
    segment.word(cell + PARTIES).load(Ordering::Relaxed)
}

/// How many wait for the others.
pub fn waiting(segment: &Segment, cell: Object) -> u64 {
    if phase(segment, cell) != FILLING {
        return 0;
    }
    segment.word(cell + INSIDE).load(Ordering::Relaxed)
}

/// Joins the parties inside.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
///
/// # Crash
/// One record; the drainer takes the dead out, and breaks the barrier.
pub fn join(caller: Caller, party: Party) -> Result<Joined> {
    let Party { cell, object, row } = party;
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        match operation.read(cell + PHASE) {
            FILLING => {}
            BROKEN => return Ok(Joined::Broken),
            _ => return Ok(Joined::NotYet),
        }
        let amount = amount(operation, HoldingRow(row.at));
        if amount & PARTY != 0 && operation.read(cell + MISSED) != 0 {
            break_for(operation, cell, Cause::PartyDied);
            operation.queue_wake(cell + EVENT);
            operation.commit();
            return Ok(Joined::Broken);
        }
        let index = operation.read(cell + INSIDE);
        let is_last = index.saturating_add(1) >= operation.read(cell + PARTIES);
        operation.write(cell + INSIDE, index.wrapping_add(1));
        if seeded(Bug::JoinInTwo) {
            operation.commit();
        }
        let more = amount.wrapping_add(1) | PARTY;
        match amount {
            0 => row.write(operation, object, more, 0),
            _ => operation.write(row.at + holding::AMOUNT, more),
        }
        if is_last {
            if operation.read(cell + MISSED) != 0 {
                operation.write(cell + MISSED, 0);
            }
            operation.write(cell + PHASE, ACTING);
        }
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(if is_last {
            Joined::Last(index)
        } else {
            Joined::As(index)
        })
    })
}

/// Moves on from one of the phases `from` to `to`; false if it is in none of them.
///
/// # Errors
/// As `join`.
pub fn advance(caller: Caller, cell: Object, from: &[u64], to: u64) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        if !from.contains(&operation.read(cell + PHASE)) {
            return Ok(false);
        }
        operation.write(cell + PHASE, to);
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// Ends all waits with an error and makes the barrier usable again.
///
/// # Errors
/// As `join`.
pub fn reset(caller: Caller, cell: Object) -> Result<()> {
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        let is_empty = operation.read(cell + INSIDE) == 0;
        let next = match operation.read(cell + PHASE) {
            _ if is_empty => FILLING,
            DRAINING => return Ok(()), // those inside have passed already
            _ => RESETTING,
        };
        operation.write(cell + PHASE, next);
        operation.write(cell + MISSED, 0);
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(())
    })
}

/// Leaves; the last to leave opens the barrier for the next generation. Returns the phase it
/// was in.
///
/// # Errors
/// As `join`.
pub fn leave(caller: Caller, party: Party) -> Result<u64> {
    let Party { cell, row, .. } = party;
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        let phase = operation.read(cell + PHASE);
        go(operation, cell, phase, 1);
        one_less(operation, row);
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(phase)
    })
}

/// As `leave`, by who cannot wait: where that takes waiting it is done later, and whoever waits then
/// for one more party gets a broken barrier.
pub fn let_go(space: &Space, participant: &Participant, party: Party) {
    let Party { cell, row, .. } = party;
    let numbers = [cell.0, row.number, row.at, 0, 0, 0];
    space.now_or_later(participant, &LET_GO, numbers);
}

/// The object is ours until this is done: memberships are given back behind it.
static LET_GO: Job = Job {
    run: |caller, &[object, number, at, ..]| {
        let (cell, row) = (Object(object), Row { number, at });
        caller.run(|operation| {
            operation.lock(cell.lock())?;
            let phase = operation.read(cell + PHASE);
            go(operation, cell, phase, 1);
            if matches!(phase, FILLING | ACTING) {
                break_for(operation, cell, Cause::PartyDied);
            }
            one_less(operation, row);
            operation.queue_wake(cell + EVENT);
            operation.commit();
            Ok(())
        })
    },
    inherit: |_, _| {},
};

/// This process is no party any more until it joins again. Those of its threads that are inside stay.
///
/// # Errors
/// As `join`.
///
/// # Crash
/// One record.
pub fn depart(caller: Caller, party: Party) -> Result<()> {
    let Party { cell, row, .. } = party;
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        match amount(operation, HoldingRow(row.at)) & !PARTY {
            0 => row.clear(operation),
            inside => operation.write(row.at + holding::AMOUNT, inside),
        }
        operation.commit();
        Ok(())
    })
}

/// The last handle of this process is gone, and with it the row: it is no party any more. Where that
/// would take waiting it is done later.
pub fn forget(space: &Space, participant: &Participant, object: ObjectId, row: Row) {
    let numbers = [object.row, object.serial, row.number, row.at, 0, 0];
    space.now_or_later(participant, &FORGET, numbers);
}

/// The object may be gone before: what a row says of it then means nothing.
static FORGET: Job = Job {
    run: |caller, &[number, serial, row, at, ..]| {
        let object = ObjectId {
            row: number,
            serial,
        };
        let row = Row { number: row, at };
        caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            if let Some(root) = directory::find(operation, object)? {
                let (cell, ..) = cell::at(operation.segment, root)?;
                operation.lock(cell.lock())?;
            }
            row.clear(operation);
            operation.commit();
            Ok(())
        })?;
        row.give(caller.participant);
        Ok(())
    },
    inherit: |_, _| {},
};

/// What a row says: how many threads are inside, and whether the process is a party.
fn amount(operation: &Operation, row: HoldingRow) -> u64 {
    row.object(operation).map_or(0, |_| row.amount(operation))
}

/// Writes the entries that count one thread less inside.
fn one_less(operation: &mut Operation, row: Row) {
    let amount = amount(operation, HoldingRow(row.at));
    match amount & !PARTY {
        0 => {}
        1 if amount & PARTY == 0 => row.clear(operation),
        _ => operation.write(row.at + holding::AMOUNT, amount - 1),
    }
}

/// Writes the entries that take so many out; returns how many are left.
fn go(operation: &mut Operation, cell: Object, phase: u64, number: u64) -> u64 {
    let inside = operation.read(cell + INSIDE).saturating_sub(number);
    operation.write(cell + INSIDE, inside);
    if inside == 0 && matches!(phase, DRAINING | RESETTING) {
        operation.write(cell + PHASE, FILLING);
    }
    inside
}

/// Writes the entries that take a dead process out; `ended`: it came to its end by itself. What is
/// missed is in the table above.
///
/// # Errors
/// `Stop::Busy` on the barrier.
fn settle(operation: &mut Operation, cell: Object, row: HoldingRow, ended: bool) -> Attempt<()> {
    operation.lock(cell.lock())?;
    let (phase, amount) = (operation.read(cell + PHASE), amount(operation, row));
    let gone = amount & !PARTY;
    let left = go(operation, cell, phase, gone);
    let was_inside = gone > 0 && !seeded(Bug::PartyNotMissed);
    let was_party = amount & PARTY != 0 && !ended && !seeded(Bug::AbsentNotMissed);
    match phase {
        FILLING | ACTING if was_inside => break_for(operation, cell, Cause::PartyDied),
        FILLING if was_party && left > 0 => break_for(operation, cell, Cause::PartyDied),
        FILLING | DRAINING | RESETTING if was_party => operation.write(cell + MISSED, 1),
        _ => {}
    }
    operation.queue_wake(cell + EVENT);
    Ok(())
}
