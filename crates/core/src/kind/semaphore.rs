//! The semaphore: permits that come back when their holder dies.
//!
//! | at            | word     |                                                               |
//! | ------------- | -------- | ------------------------------------------------------------- |
//! | `cell::DATA`  | value    | permits free                                                  |
//! | `SURPLUS`     | surplus  | releases by those who held none, not yet set off              |
//! | `LIMIT`       | limit    | the most that value may be, + 1; 0: any number                |
//! | `RETURNED`    | returned | permits free that came back from the dead                     |
//!
//! All guarded by the cell's lock. `value + what the rows hold - surplus` is the initial value,
//! always: whoever acquires with a surplus left owes nothing for it, and of a dead holder's
//! permits the surplus is set off before the rest comes back. So a semaphore that is released by
//! one process and acquired by another, as a signal, returns nothing when either dies.

use crate::change::fast::FastOperation;
use crate::change::operation::Operation;
use crate::error::{Attempt, Result};
use crate::memory::offset::Object;
use crate::memory::segment::Segment;
use crate::object::cell::{self, EVENT};
use crate::object::holding::{self, HoldingRow, Row};
use crate::object::kind::Kind;
use crate::process::membership_cache::ObjectId;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Job, Space};
use crate::sync::Ordering;

const VALUE: u64 = cell::DATA;
const SURPLUS: u64 = cell::PAYLOAD;
const LIMIT: u64 = cell::PAYLOAD + 8;
const RETURNED: u64 = cell::PAYLOAD + 16;
/// Bytes of payload.
pub const LENGTH: u64 = cell::least(cell::SEMAPHORE);

pub const KIND: Kind = Kind {
    class: "Semaphore",
    length: Some(LENGTH),
    settle,
    count: |segment, cell| Some(value(segment, cell)),
    ..Kind::PLAIN
};

/// In a row's amount: one of the permits held came from a dead holder.
const RECOVERED: u64 = 1 << 63;

/// Fills a new one.
pub fn fill(segment: &Segment, cell: Object, value: u64, limit: Option<u64>) {
    let limit = limit.map_or(0, |limit| limit + 1);
    segment.word(cell + VALUE).store(value, Ordering::Relaxed);
    segment.word(cell + LIMIT).store(limit, Ordering::Relaxed);
}

/// The most permits that may be free.
pub fn limit(segment: &Segment, cell: Object) -> Option<u64> {
    let limit = segment.word(cell + LIMIT).load(Ordering::Relaxed);
    limit.checked_sub(1)
}

/// Permits free at this moment.
pub fn value(segment: &Segment, cell: Object) -> u64 {
    segment.word(cell + VALUE).load(Ordering::Relaxed)
}

/// Who acts on which semaphore: the row is this process's own.
#[derive(Clone, Copy)]
pub struct User {
    pub cell: Object,
    pub object: ObjectId,
    pub row: Row,
}

/// Takes a permit if one is free and nothing stands in the way; false: `try_acquire` is due.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// As `try_acquire`.
#[inline(always)]
pub unsafe fn acquire_fast(segment: &Segment, participant: &Participant, user: User) -> bool {
    let User { cell, object, row } = user;
    if value(segment, cell) == 0 {
        return false;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { FastOperation::begin(segment, participant, cell.lock()) })
    else {
        return false;
    };
    let value = record.read(cell + VALUE);
    if value == 0 || record.read(cell + SURPLUS) != 0 || record.read(cell + RETURNED) != 0 {
        return false;
    }
    record.write(cell + VALUE, value - 1);
    match row.amount(segment) {
        0 => {
            record.write(row.at, object.row + 1);
            record.write(row.at + holding::SERIAL, object.serial);
            record.write(row.at + holding::AMOUNT, 1);
            record.write(row.at + holding::BLOCK, 0);
        }
        held => record.write(row.at + holding::AMOUNT, held.wrapping_add(1)),
    }
    record.commit(cell + EVENT);
    true
}

/// Gives one of our own permits if nothing stands in the way; false: `release` is due.
///
/// # Safety
/// As `FastOperation::begin`.
///
/// # Crash
/// One record.
#[inline(always)]
pub unsafe fn release_fast(segment: &Segment, participant: &Participant, user: User) -> bool {
    let User { cell, row, .. } = user;
    let held = row.amount(segment);
    if held & !RECOVERED == 0 {
        return false;
    }
    // SAFETY: as the caller promised.
    let Some(mut record) = (unsafe { FastOperation::begin(segment, participant, cell.lock()) })
    else {
        return false;
    };
    let value = record.read(cell + VALUE).wrapping_add(1);
    let limit = record.read(cell + LIMIT);
    if limit != 0 && value >= limit {
        return false;
    }
    record.write(cell + VALUE, value);
    match held & !RECOVERED {
        1 => record.write(row.at, 0),
        _ => record.write(row.at + holding::AMOUNT, held - 1),
    }
    record.commit(cell + EVENT);
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
    let User { cell, object, row } = user;
    if value(&caller.space.segment, cell) == 0 {
        return Ok(false);
    }
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        let value = operation.read(cell + VALUE);
        if value == 0 {
            return Ok(false);
        }
        operation.write(cell + VALUE, value - 1);
        if seeded(Bug::PermitInTwo) {
            operation.commit();
        }
        let returned = operation.read(cell + RETURNED);
        let surplus = operation.read(cell + SURPLUS);
        let held = row.amount(operation.segment);
        if surplus > 0 {
            operation.write(cell + SURPLUS, surplus - 1);
        } else if returned > 0 {
            operation.write(cell + RETURNED, returned - 1);
            row.write(operation, object, held.wrapping_add(1) | RECOVERED, 0);
        } else {
            row.write(operation, object, held.wrapping_add(1), 0);
        }
        operation.queue_wake(cell + EVENT);
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
    let User { cell, object, row } = user;
    caller.run(|operation| {
        operation.lock(cell.lock())?;
        let value = operation.read(cell + VALUE).saturating_add(count);
        let limit = operation.read(cell + LIMIT);
        if limit != 0 && value >= limit {
            return Ok(false);
        }
        operation.write(cell + VALUE, value);
        // A row that had nothing in it may be another object's by the time of what was put off.
        let held = match row.is_of(operation.segment, object) {
            true => row.amount(operation.segment) & !RECOVERED,
            false => 0,
        };
        let own = held.min(count);
        if own > 0 && own == held {
            row.clear(operation);
        } else if own > 0 {
            let recovered = row.amount(operation.segment) & RECOVERED;
            row.write(operation, object, (held - own) | recovered, 0);
        }
        if count > own {
            let surplus = operation.read(cell + SURPLUS);
            operation.write(cell + SURPLUS, surplus.saturating_add(count - own));
        }
        operation.queue_wake(cell + EVENT);
        operation.commit();
        Ok(true)
    })
}

/// As `release`, by who cannot wait: where that takes waiting it is done later, and what would be more
/// than the limit is not done.
pub fn release_later(space: &Space, participant: &Participant, user: User, count: u64) {
    let User { cell, object, row } = user;
    let numbers = [cell.0, object.row, object.serial, row.number, row.at, count];
    space.now_or_later(participant, &RELEASE, numbers);
}

/// The object is ours until this is done: memberships are given back behind it.
static RELEASE: Job = Job {
    run: |caller, &[cell, row, serial, number, at, count]| {
        let (cell, object) = (Object(cell), ObjectId { row, serial });
        let row = Row { number, at };
        release(caller, User { cell, object, row }, count).map(drop)
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
fn settle(operation: &mut Operation, cell: Object, row: HoldingRow, _: bool) -> Attempt<()> {
    operation.lock(cell.lock())?;
    let held = row.amount(operation) & !RECOVERED;
    let surplus = operation.read(cell + SURPLUS);
    let (set_off, value) = (held.min(surplus), operation.read(cell + VALUE));
    let back = held - set_off;
    operation.write(cell + SURPLUS, surplus - set_off);
    operation.write(cell + VALUE, value.saturating_add(back));
    let returned = operation.read(cell + RETURNED);
    operation.write(cell + RETURNED, returned.saturating_add(back));
    operation.queue_wake(cell + EVENT);
    Ok(())
}
