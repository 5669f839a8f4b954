//! A condition's line of waiters: who waits, and how many of them were notified.
//!
//! | at             | word    |                                                                 |
//! | -------------- | ------- | --------------------------------------------------------------- |
//! | `object::DATA` | waiting | waiters that took no notification yet                           |
//! | `GIVEN`        | given   | notifications not yet taken: at most `waiting`                  |
//! | `NEXT`         | next    | the number that the next waiter gets                            |
//! | `HORIZON`      | horizon | `next` at the last notification: only older waiters may take it |
//!
//! All guarded by the object's own lock, which is not the user's. A waiter's row holds its number
//! until it has the user's lock again: `WAITING | number`, then `NOTIFIED`. What a dead waiter was
//! given goes to another one.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::segment::Segment;
use crate::object::holding::{HoldingRow, Row};
use crate::object::kind::Kind;
use crate::object::{self, EVENT};
use crate::offset::Object;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

const WAITERS: u64 = object::DATA;
const GIVEN: u64 = object::PAYLOAD;
const NEXT: u64 = object::PAYLOAD + 8;
const HORIZON: u64 = object::PAYLOAD + 16;
/// Bytes of payload.
pub const LENGTH: u64 = object::least(object::CONDITION);

pub const KIND: Kind = Kind {
    class: "Condition",
    length: Some(LENGTH),
    settle,
    ..Kind::PLAIN
};

/// A row's amount: in line, with a number below it; or taken out of it by a notification.
const WAITING: u64 = 1 << 62;
const NOTIFIED: u64 = 1 << 63;

/// One wait of one thread.
#[derive(Clone, Copy)]
pub struct Waiter {
    pub object: Object,
    pub id: ObjectId,
    pub row: Row,
}

/// How many wait and took no notification yet.
pub fn waiting(segment: &Segment, object: Object) -> u64 {
    segment.word(object + WAITERS).load(Ordering::Relaxed)
}

/// How many wait for whom there is no notification; beside one who takes his, perhaps one more.
pub fn unnotified(segment: &Segment, object: Object) -> u64 {
    waiting(segment, object).saturating_sub(given(segment, object))
}

/// Notifications not taken yet.
pub fn given(segment: &Segment, object: Object) -> u64 {
    segment.word(object + GIVEN).load(Ordering::Acquire) // pairs with apply
}

/// Joins the line, while the user's lock is held.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
///
/// # Crash
/// One record; the drainer takes the dead out of the line.
pub fn enter(caller: Caller, waiter: Waiter) -> Result<()> {
    let Waiter { object, id, row } = waiter;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let number = operation.read(object + NEXT);
        operation.write(object + NEXT, number.wrapping_add(1));
        let waiting = operation.read(object + WAITERS);
        operation.write(object + WAITERS, waiting.wrapping_add(1));
        row.write(operation, id, WAITING | number, 0);
        operation.commit();
        Ok(())
    })
}

/// Takes a notification, if there is one for this waiter.
///
/// # Errors
/// As `enter`.
pub fn try_take(caller: Caller, waiter: Waiter) -> Result<bool> {
    let object = waiter.object;
    if given(&caller.space.segment, object) == 0 {
        return Ok(false); // looked at after the event word, which tells of the next one
    }
    caller.run(|operation| {
        operation.lock(object.lock())?;
        Ok(take(operation, waiter))
    })
}

/// Writes and commits the record that takes a notification, if there is one for this waiter.
fn take(operation: &mut Operation, waiter: Waiter) -> bool {
    let Waiter { object, id, row } = waiter;
    let given = operation.read(object + GIVEN);
    let number = row.amount(operation.segment) & !WAITING;
    if given == 0 || number >= operation.read(object + HORIZON) {
        return false;
    }
    operation.write(object + GIVEN, given - 1);
    let waiting = operation.read(object + WAITERS);
    operation.write(object + WAITERS, waiting.saturating_sub(1));
    if seeded(Bug::NotificationInTwo) {
        operation.commit();
    }
    row.write(operation, id, NOTIFIED, 0);
    operation.commit();
    true
}

/// Leaves the line: the user's lock is held again, or the wait was given up. False: without a
/// notification.
///
/// # Errors
/// As `enter`.
pub fn leave(caller: Caller, waiter: Waiter) -> Result<bool> {
    let Waiter { object, row, .. } = waiter;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let notified = row.amount(operation.segment) & NOTIFIED != 0 || take(operation, waiter);
        if !notified {
            let waiting = operation.read(object + WAITERS);
            operation.write(object + WAITERS, waiting.saturating_sub(1));
        }
        row.clear(operation);
        operation.commit();
        Ok(notified)
    })
}

/// As `leave`, by who cannot wait: where that takes waiting it is done later. It takes no notification.
pub fn let_go(space: &Space, participant: &Participant, waiter: Waiter) {
    let Waiter { object, row, .. } = waiter;
    let numbers = [object.0, row.number, row.at, 0, 0, 0];
    space.now_or_later(participant, &LET_GO, numbers);
}

/// The object is ours until this is done: memberships are given back behind it.
static LET_GO: Job = Job {
    run: |caller, &[object, number, at, ..]| {
        let (object, row) = (Object(object), Row { number, at });
        caller.run(|operation| {
            operation.lock(object.lock())?;
            if row.amount(operation.segment) & NOTIFIED == 0 {
                step_out(operation, object);
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

/// Writes the entries that take one who was not notified out of the line; what is given is for the
/// others.
fn step_out(operation: &mut Operation, object: Object) {
    let waiting = operation.read(object + WAITERS);
    operation.write(object + WAITERS, waiting.saturating_sub(1));
    let given = operation.read(object + GIVEN);
    if given > 0 {
        give(operation, object, given);
        operation.queue_wake(object + EVENT);
    }
}

/// Notifies up to `count` of those in line now.
///
/// # Errors
/// As `enter`.
///
/// # Crash
/// One record, which queues the wake.
pub fn notify(caller: Caller, object: Object, count: u64) -> Result<()> {
    caller.run(|operation| {
        operation.lock(object.lock())?;
        if operation.read(object + WAITERS) > 0 {
            let given = operation.read(object + GIVEN).saturating_add(count);
            give(operation, object, given);
        }
        // Who waits with `wait_for` on the condition itself is woken in any case.
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(())
    })
}

/// Writes the entries that make `given` notifications open to all in line.
fn give(operation: &mut Operation, object: Object, given: u64) {
    let given = given.min(operation.read(object + WAITERS));
    operation.write(object + GIVEN, given);
    let next = operation.read(object + NEXT);
    operation.write(object + HORIZON, next);
}

/// Writes the entries that take a dead waiter out of the line; what it was given goes on.
///
/// # Errors
/// `Stop::Busy` on the condition.
fn settle(operation: &mut Operation, object: Object, row: HoldingRow, _: bool) -> Attempt<()> {
    operation.lock(object.lock())?;
    let mut given = operation.read(object + GIVEN);
    if row.amount(operation) & NOTIFIED != 0 {
        if !seeded(Bug::NotificationForgotten) {
            given = given.saturating_add(1);
        }
    } else {
        let waiting = operation.read(object + WAITERS);
        operation.write(object + WAITERS, waiting.saturating_sub(1));
    }
    if given > 0 {
        give(operation, object, given);
        operation.queue_wake(object + EVENT);
    }
    Ok(())
}
