//! The semaphore: permits that come back when their holder dies.
//!
//! | at             | word     |                                                  |
//! | -------------- | -------- | ------------------------------------------------ |
//! | `object::DATA` | value    | permits free                                     |
//! | `SURPLUS`      | surplus  | releases by those who held none, not yet set off |
//! | `LIMIT`        | limit    | the most that value may be, + 1; 0: any number   |
//! | `RETURNED`     | returned | permits free that came back from the dead        |
//!
//! All guarded by the object's lock. `value + what the rows hold - surplus` is the initial value,
//! always: whoever acquires with a surplus left owes nothing for it, and of a dead holder's
//! permits the surplus is set off before the rest comes back. So a semaphore that is released by
//! one process and acquired by another, as a signal, returns nothing when either dies.

use crate::change::fast::FastOperation;
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::segment::Segment;
use crate::object::holding::{self, HoldingRow, Row};
use crate::object::kind::Kind;
use crate::object::{self, EVENT};
use crate::offset::Object;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

const VALUE: u64 = object::DATA;
const SURPLUS: u64 = object::PAYLOAD;
const LIMIT: u64 = object::PAYLOAD + 8;
const RETURNED: u64 = object::PAYLOAD + 16;
/// Bytes of payload.
pub const LENGTH: u64 = object::least(object::SEMAPHORE);

pub const KIND: Kind = Kind {
    class: "Semaphore",
    length: Some(LENGTH),
    settle,
    count: |segment, object| Some(value(segment, object)),
    readiness: |segment, object| Some((value(segment, object) > 0).into()),
    ..Kind::PLAIN
};

/// In a row's amount: one of the permits held came from a dead holder.
const RECOVERED: u64 = 1 << 63;

/// Fills a new one.
pub fn fill(segment: &Segment, object: Object, value: u64, limit: Option<u64>) {
    let limit = limit.map_or(0, |limit| limit + 1);
    segment.word(object + VALUE).store(value, Ordering::Relaxed);
    segment.word(object + LIMIT).store(limit, Ordering::Relaxed);
}

/// The most permits that may be free.
pub fn limit(segment: &Segment, object: Object) -> Option<u64> {
    let limit = segment.word(object + LIMIT).load(Ordering::Relaxed);
    limit.checked_sub(1)
}

/// Permits free at this moment.
pub fn value(segment: &Segment, object: Object) -> u64 {
    segment.word(object + VALUE).load(Ordering::Relaxed)
}

/// Who acts on which semaphore: the row is this process's own.
#[derive(Clone, Copy)]
pub struct User {
    pub object: Object,
    pub id: ObjectId,
    pub row: Row,
}

/// Takes a permit if one is free, on the fast path; false: `try_acquire` is due.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `try_acquire`.
#[inline(always)]
pub unsafe fn acquire_fast(segment: &Segment, participant: &Participant, user: User) -> bool {
    let User { object, id, row } = user;
    if value(segment, object) == 0 {
        return false;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { FastOperation::begin(segment, participant, object.lock()) })
    else {
        return false;
    };
    let value = record.read(object + VALUE);
    if value == 0 || record.read(object + SURPLUS) != 0 || record.read(object + RETURNED) != 0 {
        return false;
    }
    record.write(object + VALUE, value - 1);
    match row.amount(segment) {
        0 => {
            record.write(row.at, id.row + 1);
            record.write(row.at + holding::SERIAL, id.serial);
            record.write(row.at + holding::AMOUNT, 1);
            record.write(row.at + holding::BLOCK, 0);
        }
        held => record.write(row.at + holding::AMOUNT, held.wrapping_add(1)),
    }
    record.commit(object + EVENT);
    true
}

/// Gives one of our own permits, on the fast path; false: `release` is due.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// One record.
#[inline(always)]
pub unsafe fn release_fast(segment: &Segment, participant: &Participant, user: User) -> bool {
    let User { object, row, .. } = user;
    let held = row.amount(segment);
    if held & !RECOVERED == 0 {
        return false;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { FastOperation::begin(segment, participant, object.lock()) })
    else {
        return false;
    };
    let value = record.read(object + VALUE).wrapping_add(1);
    let limit = record.read(object + LIMIT);
    if limit != 0 && value >= limit {
        return false;
    }
    record.write(object + VALUE, value);
    match held & !RECOVERED {
        1 => record.write(row.at, 0),
        _ => record.write(row.at + holding::AMOUNT, held - 1),
    }
    record.commit(object + EVENT);
    true
}

/// Takes a permit if one is free.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
///
/// # Crash
/// One record takes the permit and writes our row: the drainer gives it back.
pub fn try_acquire(caller: Caller, user: User) -> Result<bool> {
    let User { object, id, row } = user;
    if value(&caller.space.segment, object) == 0 {
        return Ok(false);
    }
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let value = operation.read(object + VALUE);
        if value == 0 {
            return Ok(false);
        }
        operation.write(object + VALUE, value - 1);
        if seeded(Bug::PermitInTwo) {
            operation.commit();
        }
        let returned = operation.read(object + RETURNED);
        let surplus = operation.read(object + SURPLUS);
        let held = row.amount(operation.segment);
        if surplus > 0 {
            operation.write(object + SURPLUS, surplus - 1);
        } else if returned > 0 {
            operation.write(object + RETURNED, returned - 1);
            row.write(operation, id, held.wrapping_add(1) | RECOVERED, 0);
        } else {
            row.write(operation, id, held.wrapping_add(1), 0);
        }
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// Gives `count` permits, our own first; false if that would be more than the limit.
///
/// # Errors
/// As `try_acquire`.
///
/// # Crash
/// One record.
pub fn release(caller: Caller, user: User, count: u64) -> Result<bool> {
    let User { object, id, row } = user;
    caller.run(|operation| {
        operation.lock(object.lock())?;
        let value = operation.read(object + VALUE).saturating_add(count);
        let limit = operation.read(object + LIMIT);
        if limit != 0 && value >= limit {
            return Ok(false);
        }
        operation.write(object + VALUE, value);
        // A row that had nothing in it may be another object's by the time of what was put off.
        let held = match row.is_of(operation.segment, id) {
            true => row.amount(operation.segment) & !RECOVERED,
            false => 0,
        };
        let own = held.min(count);
        if own > 0 && own == held {
            row.clear(operation);
        } else if own > 0 {
            let recovered = row.amount(operation.segment) & RECOVERED;
            row.write(operation, id, (held - own) | recovered, 0);
        }
        if count > own {
            let surplus = operation.read(object + SURPLUS);
            operation.write(object + SURPLUS, surplus.saturating_add(count - own));
        }
        operation.queue_wake(object + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// As `release`, by who cannot wait: where that takes waiting it is done later, and what would be more
/// than the limit is not done.
pub fn release_later(space: &Space, participant: &Participant, user: User, count: u64) {
    let User { object, id, row } = user;
    let numbers = [object.0, id.row, id.serial, row.number, row.at, count];
    space.now_or_later(participant, &RELEASE, numbers);
}

/// The object is ours until this is done: memberships are given back behind it.
static RELEASE: Job = Job {
    run: |caller, &[object, row, serial, number, at, count]| {
        let (object, id) = (Object(object), ObjectId { row, serial });
        let row = Row { number, at };
        release(caller, User { object, id, row }, count).map(drop)
    },
    inherit: |_, _| {},
};

/// Whether one of the permits that this process holds came back from a dead holder.
pub fn is_recovered(segment: &Segment, row: Row) -> bool {
    row.amount(segment) & RECOVERED != 0
}

/// Writes the entries that give back what a dead holder's row says.
///
/// # Errors
/// `Stop::Busy` on the semaphore.
fn settle(operation: &mut Operation, object: Object, row: HoldingRow, _: bool) -> Attempt<()> {
    operation.lock(object.lock())?;
    let held = row.amount(operation) & !RECOVERED;
    let surplus = operation.read(object + SURPLUS);
    let (set_off, value) = (held.min(surplus), operation.read(object + VALUE));
    let back = held - set_off;
    operation.write(object + SURPLUS, surplus - set_off);
    operation.write(object + VALUE, value.saturating_add(back));
    let returned = operation.read(object + RETURNED);
    operation.write(object + RETURNED, returned.saturating_add(back));
    operation.queue_wake(object + EVENT);
    Ok(())
}
