//! Which objects there are, who holds them, and which pickles are under way.
//!
//! An object's row: `serial | root block | references | kind | name`; in a free row the serial is 0
//! and the word of the kind is the next free row + 1. References are the memberships, the open tickets
//! and the links of stored values. The name is its row among the names, + 1; 0: it has none. The row
//! outlives the object, so that a serial is always checked against a serial, never against another
//! object's data.
//!
//! A ticket's row: `id | object row + 1 | sender | deadline`; in a free row the id is 0 and the
//! second word the next free row + 1. All of it is guarded by the directory lock.

use crate::memory::layout::{self, OBJECT_ROW, superblock};

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

use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::segment::Segment;
use crate::object::rows::{self, Place};
use crate::offset::Root;
use crate::process::membership_cache::ObjectId;
use crate::room;
use crate::space::{Caller, Space};
use crate::sync::Ordering;
pub(super) use place;

pub(super) const ROOT: u64 = 8;

pub(super) const REFERENCES: u64 = 16;

/// `kind + (waits << 8)`: what it is, and how often somebody had to wait for it.
pub(super) const KIND: u64 = 24;

pub(super) const A_WAIT: u64 = 1 << 8;

/// The row of the name by which it is found, + 1.
pub(super) const NAME: u64 = 32;

pub(super) fn kind_in(word: u64) -> u64 {
    word % A_WAIT
}

/// A segment of a table that an attempt found missing.
#[derive(Clone, Copy)]
pub(super) struct Missing {
    pub(super) head: u64,
    pub(super) part: u64,
    pub(super) size: u64,
}

/// Carries out an operation on the tables, extending them as it asks, behind what this process has
/// put off.
pub(super) fn with_tables<T>(
    caller: Caller,
    mut body: impl FnMut(&mut Operation) -> Attempt<std::result::Result<T, Missing>>,
) -> Result<T> {
    if caller.space.is_behind() {
        caller.space.catch_up(caller.wait)?;
    }
    loop {
        let done = caller.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            body(operation)
        })?;
        match done {
            Ok(value) => return Ok(value),
            Err(missing) => {
                rows::extend(caller, missing.head, missing.part, missing.size)?;
            }
        }
    }
}

pub(super) fn object_at(segment: &Segment, row: u64) -> Result<u64> {
    match rows::place(segment, superblock::OBJECTS, row, OBJECT_ROW)? {
        Place::At(at) => Ok(at),
        Place::Missing(_) => Err(corrupt(format!("there is no object row {row}"))),
    }
}

/// The place of an object that is alive.
pub(super) fn living(operation: &Operation, id: ObjectId) -> Result<u64> {
    let gone = || {
        Error::NotFound(
            "the object is gone: its last holder closed it or ended before this handle was \
             loaded; keep it in the sending process until the receiver has it"
                .into(),
        )
    };
    let at = object_at(operation.segment, id.row).map_err(|_| gone())?;
    if operation.read(at) == id.serial {
        Ok(at)
    } else {
        Err(gone())
    }
}

/// The root block of an object; None if it is gone.
///
/// # Errors
/// `Stop::Busy` on the directory: the object stays while its lock is held. `Corrupt` if it has no root.
pub(crate) fn find(operation: &mut Operation, id: ObjectId) -> Attempt<Option<Root>> {
    operation.lock(superblock::DIRECTORY_LOCK)?;
    match living(operation, id) {
        Ok(at) => Ok(Some(root_at(operation, at)?)),
        Err(_) => Ok(None),
    }
}

/// The root block that a row names.
fn root_at(operation: &Operation, at: u64) -> Result<Root> {
    match kind_in(operation.read(at + KIND)) {
        layout::kind::OBJECT => Ok(Root(operation.read(at + ROOT))),
        kind => Err(corrupt(format!("an object of unknown kind {kind}"))),
    }
}

/// Counts that somebody who holds the object has had to sleep for it: for people, nothing depends
/// on it. Never journaled, so one that is made or goes meanwhile is the caller's to prevent.
pub fn count_wait(segment: &Segment, id: ObjectId) {
    if let Ok(at) = object_at(segment, id.row)
        && segment.word(at).load(Ordering::Relaxed) == id.serial
    {
        segment.word(at + KIND).fetch_add(A_WAIT, Ordering::Relaxed);
    }
}

/// How often somebody has had to sleep for an object.
pub fn waits(segment: &Segment, row: u64) -> u64 {
    object_at(segment, row).map_or(0, |at| {
        segment.word(at + KIND).load(Ordering::Relaxed) / A_WAIT
    })
}

/// Writes the entries that take one reference away, and the object apart with the last.
pub(super) fn unreference(space: &Space, operation: &mut Operation, row: u64) -> Attempt<()> {
    let at = object_at(operation.segment, row)?;
    let references = operation.read(at + REFERENCES);
    if operation.read(at) == 0 || references == 0 {
        return Err(corrupt(format!("object row {row} has no reference to take away")).into());
    }
    operation.write(at + REFERENCES, references - 1);
    if references > 1 {
        return Ok(());
    }
    let root = root_at(operation, at)?;
    (space.hooks.destroy)(operation, root)?;
    let free = operation.read(superblock::FREE_OBJECT);
    operation.write(at, 0);
    operation.write(at + ROOT, 0);
    operation.write(at + KIND, free);
    operation.write(superblock::FREE_OBJECT, row + 1);
    let live = operation.read(superblock::LIVE_OBJECTS);
    operation.write(superblock::LIVE_OBJECTS, live.saturating_sub(1));
    Ok(())
}

/// The root block of an object that this process holds.
///
/// # Errors
/// `NotFound`, `Corrupt`.
pub fn root(segment: &Segment, id: ObjectId) -> Result<Root> {
    let at = object_at(segment, id.row)?;
    let root = segment.word(at + ROOT).load(Ordering::Relaxed);
    segment.check_range(root, layout::block::LARGE)?;
    Ok(Root(root))
}

/// A live object, as `check` sees it.
#[derive(PartialEq, Eq)]
pub struct Listed {
    pub row: u64,
    pub serial: u64,
    pub kind: u64,
    pub root: Root,
    pub references: u64,
}

impl Listed {
    pub(super) fn read(operation: &Operation, row: u64, at: u64) -> Listed {
        Listed {
            row,
            serial: operation.read(at),
            kind: kind_in(operation.read(at + KIND)),
            root: Root(operation.read(at + ROOT)),
            references: operation.read(at + REFERENCES),
        }
    }
}

/// All live objects. The directory lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn list(operation: &Operation) -> Result<Vec<Listed>> {
    let rows = rows::each(operation.segment, superblock::OBJECTS, OBJECT_ROW)?;
    let live = rows.into_iter().filter(|&(_, at)| operation.read(at) != 0);
    room::collect(live.map(|(row, at)| Listed::read(operation, row, at)))
}

/// One of them, if it lives. The directory lock is held.
pub fn listed(operation: &Operation, id: ObjectId) -> Option<Listed> {
    let at = living(operation, id).ok()?;
    Some(Listed::read(operation, id.row, at))
}
