//! The barrier: parties that go on together, or learn that one of them cannot.
//!
//! | at             | word    |                                                       |
//! | -------------- | ------- | ----------------------------------------------------- |
//! | `object::DATA` | phase   | see below                                             |
//! | `INSIDE`       | inside  | parties in `wait`, counted in rows of their processes |
//! | `PARTIES`      | parties | how many go on together                               |
//! | `CAUSE`        | cause   | why it broke last: a `Cause`                          |
//! | `MISSED`       | missed  | 1: a party died while nobody waited                   |
//!
//! | phase     | meaning                                | next                                    |
//! | --------- | -------------------------------------- | --------------------------------------- |
//! | FILLING   | parties arrive                         | ACTING with the last; BROKEN, RESETTING |
//! | ACTING    | the last one runs the action           | DRAINING; BROKEN if it failed or died   |
//! | DRAINING  | all go on                              | FILLING with the last to leave          |
//! | RESETTING | those inside leave, told that it broke | FILLING with the last to leave          |
//! | BROKEN    | every wait fails                       | RESETTING or FILLING by a reset         |
//!
//! All guarded by the object's lock. A process that has joined once is a party, also while it is not
//! inside, until it departs or comes to its end by itself (`slot::ENDED`): its row says so. A party
//! that is killed while others may still wait for it breaks the barrier.
//!
//! | a party is killed      | and               | then                                    |
//! | ---------------------- | ----------------- | --------------------------------------- |
//! | in FILLING             | others are inside | BROKEN: they may wait for it            |
//! | in FILLING             | nobody is inside  | it is missed                            |
//! | in ACTING              | it is inside      | BROKEN                                  |
//! | in ACTING              | it is not inside  | nothing: all are here without it        |
//! | in DRAINING, RESETTING |                   | it is missed: those inside go on        |
//! | in BROKEN              |                   | nothing: a reset starts over without it |
//!
//! Where one is missed, another party that joins finds the barrier broken. One that never joined
//! before does not: it may have come in the place of the dead. Once all are here nobody is missed.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::layout::superblock;
use crate::memory::segment::Segment;
use crate::object::directory;
use crate::object::holding::{self, HoldingRow, Row};
use crate::object::kind::Kind;
use crate::object::{self, EVENT};
use crate::offset::Object;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

const PHASE: u64 = object::DATA;
const INSIDE: u64 = object::PAYLOAD;
const PARTIES: u64 = object::PAYLOAD + 8;
const CAUSE: u64 = object::PAYLOAD + 16;
const MISSED: u64 = object::PAYLOAD + 24;

/// In a row's amount, beside how many threads are inside: the process is a party.
const PARTY: u64 = 1 << 63;

/// Bytes of payload.
pub const LENGTH: u64 = object::least(object::BARRIER);

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
pub fn cause(segment: &Segment, object: Object) -> Option<Cause> {
    match segment.word(object + CAUSE).load(Ordering::Relaxed) {
        1 => Some(Cause::TimedOut),
        2 => Some(Cause::Aborted),
        3 => Some(Cause::ActionFailed),
        4 => Some(Cause::PartyDied),
        5 => Some(Cause::ActionWaits),
        _ => None,
    }
}

/// Writes the entries that break it.
fn break_for(operation: &mut Operation, object: Object, cause: Cause) {
    if operation.read(object + PHASE) != BROKEN {
        operation.write(object + CAUSE, cause as u64); // the first is the one that counts
    }
    operation.write(object + PHASE, BROKEN);
}

/// Breaks the barrier, if it is in one of these phases; false: it is not.
///
/// # Errors
/// As `join`.
///
/// # Crash
/// One record.
pub fn mark_broken(caller: Caller, object: Object, from: &[u64], cause: Cause) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(object.lock())?;
        if !from.contains(&operation.read(object + PHASE)) {
            return Ok(false);
        }
        break_for(operation, object, cause);
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// Who waits at which barrier: the row is this process's own.
#[derive(Clone, Copy)]
pub struct Party {
    pub object: Object,
    pub id: ObjectId,
    pub row: Row,
}

/// How an attempt to join went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined {
    /// The last generation is still leaving: wait and try again.
    NotYet,
    Broken,
    /// Others are to come.
    Waits,
    /// All are here: this one runs the action.
    Last,
}

/// Fills a new one.
pub fn fill(segment: &Segment, object: Object, parties: u64) {
    let word = segment.word(object + PARTIES);
    word.store(parties, Ordering::Relaxed);
}

pub fn phase(segment: &Segment, object: Object) -> u64 {
    segment.word(object + PHASE).load(Ordering::Acquire) // pairs with apply
}

/// Whether a party died while nobody waited, since all were here last.
pub fn is_missed(segment: &Segment, object: Object) -> bool {
    segment.word(object + MISSED).load(Ordering::Relaxed) != 0
}

/// Whether a process with this row finds it broken when it joins.
pub fn is_broken(segment: &Segment, object: Object, row: Option<Row>) -> bool {
    match phase(segment, object) {
        BROKEN => true,
        FILLING if is_missed(segment, object) => {
            row.is_some_and(|row| row.amount(segment) & PARTY != 0)
        }
        _ => false,
    }
}

pub fn parties(segment: &Segment, object: Object) -> u64 {
    segment.word(object + PARTIES).load(Ordering::Relaxed)
}

/// How many wait for the others.
pub fn waiting(segment: &Segment, object: Object) -> u64 {
    if phase(segment, object) != FILLING {
        return 0;
    }
    segment.word(object + INSIDE).load(Ordering::Relaxed)
}

/// Joins the parties inside.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
///
/// # Crash
/// One record; the drainer takes the dead out, and breaks the barrier.
pub fn join(caller: Caller, party: Party) -> Result<Joined> {
    let Party { object, id, row } = party;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        match operation.read(object + PHASE) {
            FILLING => {}
            BROKEN => return Ok(Joined::Broken),
            _ => return Ok(Joined::NotYet),
        }
        let amount = amount(operation, HoldingRow(row.at));
        if amount & PARTY != 0 && operation.read(object + MISSED) != 0 {
            break_for(operation, object, Cause::PartyDied);
            operation.queue_wake(object + EVENT);
            operation.commit();
            return Ok(Joined::Broken);
        }
        let inside = operation.read(object + INSIDE);
        let is_last = inside.saturating_add(1) >= operation.read(object + PARTIES);
        operation.write(object + INSIDE, inside.wrapping_add(1));
        if seeded(Bug::JoinInTwo) {
            operation.commit();
        }
        let more = amount.wrapping_add(1) | PARTY;
        match amount {
            0 => row.write(operation, id, more, 0),
            _ => operation.write(row.at + holding::AMOUNT, more),
        }
        if is_last {
            if operation.read(object + MISSED) != 0 {
                operation.write(object + MISSED, 0);
            }
            operation.write(object + PHASE, ACTING);
        }
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(if is_last { Joined::Last } else { Joined::Waits })
    })
}

/// Moves on from one of the phases `from` to `to`; false if it is in none of them.
///
/// # Errors
/// As `join`.
pub fn advance(caller: Caller, object: Object, from: &[u64], to: u64) -> Result<bool> {
    caller.run(|operation| {
        operation.lock(object.lock())?;
        if !from.contains(&operation.read(object + PHASE)) {
            return Ok(false);
        }
        operation.write(object + PHASE, to);
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// Ends all waits with an error and makes the barrier usable again.
///
/// # Errors
/// As `join`.
pub fn reset(caller: Caller, object: Object) -> Result<()> {
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let is_empty = operation.read(object + INSIDE) == 0;
        let next = match operation.read(object + PHASE) {
            _ if is_empty => FILLING,
            DRAINING => return Ok(()), // those inside have passed already
            _ => RESETTING,
        };
        operation.write(object + PHASE, next);
        operation.write(object + MISSED, 0);
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(())
    })
}

/// Leaves; the last to leave opens the barrier for the next generation. Returns the phase it
/// was in, and how many are left inside: in DRAINING, where nobody comes, another number to each.
/// (How many came before is no such number: one of them may have left since.)
///
/// # Errors
/// As `join`.
pub fn leave(caller: Caller, party: Party) -> Result<(u64, u64)> {
    let Party { object, row, .. } = party;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let phase = operation.read(object + PHASE);
        let left = go(operation, object, phase, 1);
        if seeded(Bug::LeaveInTwo) {
            operation.commit();
        }
        one_less(operation, row);
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok((phase, left))
    })
}

/// As `leave`, by who cannot wait: where that takes waiting it is done later, and whoever waits then
/// for one more party gets a broken barrier.
pub fn let_go(space: &Space, participant: &Participant, party: Party) {
    let Party { object, row, .. } = party;
    let numbers = [object.0, row.number, row.at, 0, 0, 0];
    space.now_or_later(participant, &LET_GO, numbers);
}

/// The object is ours until this is done: memberships are given back behind it.
static LET_GO: Job = Job {
    run: |caller, &[object, number, at, ..]| {
        let (object, row) = (Object(object), Row { number, at });
        caller.run(|operation| {
            operation.lock(object.lock())?;
            let phase = operation.read(object + PHASE);
            go(operation, object, phase, 1);
            if matches!(phase, FILLING | ACTING) {
                break_for(operation, object, Cause::PartyDied);
            }
            one_less(operation, row);
            operation.queue_wake(object + EVENT);
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
    let Party { object, row, .. } = party;
    caller.run(|operation| {
        operation.lock(object.lock())?;
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
pub fn forget(space: &Space, participant: &Participant, id: ObjectId, row: Row) {
    let numbers = [id.row, id.serial, row.number, row.at, 0, 0];
    space.now_or_later(participant, &FORGET, numbers);
}

/// The object may be gone before: what a row says of it then means nothing.
static FORGET: Job = Job {
    run: |caller, &[number, serial, row, at, ..]| {
        let id = ObjectId {
            row: number,
            serial,
        };
        let row = Row { number: row, at };
        caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            if let Some(root) = directory::find(operation, id)? {
                let (object, ..) = object::at(operation.segment, root)?;
                operation.lock(object.lock())?;
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
fn go(operation: &mut Operation, object: Object, phase: u64, number: u64) -> u64 {
    let inside = operation.read(object + INSIDE).saturating_sub(number);
    operation.write(object + INSIDE, inside);
    if inside == 0 && matches!(phase, DRAINING | RESETTING) {
        operation.write(object + PHASE, FILLING);
    }
    inside
}

/// Writes the entries that take a dead process out; `ended`: it came to its end by itself. What is
/// missed is in the table above.
///
/// # Errors
/// `Stop::Busy` on the barrier.
fn settle(operation: &mut Operation, object: Object, row: HoldingRow, ended: bool) -> Attempt<()> {
    operation.lock(object.lock())?;
    let (phase, amount) = (operation.read(object + PHASE), amount(operation, row));
    let gone = amount & !PARTY;
    let left = go(operation, object, phase, gone);
    let was_inside = gone > 0 && !seeded(Bug::PartyNotMissed);
    let was_party = amount & PARTY != 0 && !ended && !seeded(Bug::AbsentNotMissed);
    match phase {
        FILLING | ACTING if was_inside => break_for(operation, object, Cause::PartyDied),
        FILLING if was_party && left > 0 => break_for(operation, object, Cause::PartyDied),
        FILLING | DRAINING | RESETTING if was_party => operation.write(object + MISSED, 1),
        _ => {}
    }
    operation.queue_wake(object + EVENT);
    Ok(())
}
