//! What a participant holds of an object besides its membership: a semaphore's permits, a turn in
//! a condition's line, a place at a barrier.
//!
//! A row: `object row + 1 | serial | amount | block`; the first word is 0 in a free row. Its owner
//! writes it in the records of the object's operations, under the object's lock; when the owner
//! is dead its drainer settles it with the object, under the slot's drain lock.

use crate::change::operation::Operation;
use crate::error::Result;
use crate::memory::layout::{self, HELD_ROW, SLOTS, WORD, slot, superblock};
use crate::memory::segment::Segment;
use crate::object::rows::{self, Place};
use crate::process::membership_cache::ObjectId;
use crate::process::participant::{DRAINING, Me, Participant, State};
use crate::space::Caller;
use crate::sync::Ordering;

pub const ROW: u64 = HELD_ROW;

pub const SERIAL: u64 = WORD;

/// What is held: its meaning is the object's affair.
pub const AMOUNT: u64 = 2 * WORD;

/// A block that belongs to the row, or 0.
pub const BLOCK: u64 = 3 * WORD;

/// The head of a participant's table.
pub fn table(me: Me) -> u64 {
    layout::slot_record(me.slot) + slot::HOLDINGS
}

/// A row of ours, in use or free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub number: u64,
    pub at: u64,
}

impl Row {
    /// A free row of our table for one use.
    ///
    /// # Errors
    /// `Full`, with nothing changed.
    pub fn reserve(caller: Caller) -> Result<Row> {
        let participant = caller.participant;
        participant.require()?;
        let head = table(participant.me);
        let number = participant.holdings.reserve();
        let found = loop {
            match rows::place(&caller.space.segment, head, number, ROW) {
                Ok(Place::At(at)) => return Ok(Row { number, at }),
                Ok(Place::Missing(part)) => {
                    if let Err(error) = rows::extend(caller, head, part, ROW) {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        participant.holdings.forget(number);
        Err(found)
    }

    /// Gives the row back to those free; it holds nothing any more.
    pub fn give(self, participant: &Participant) {
        participant.holdings.forget(self.number);
    }

    /// Makes rows free again in which this process is on record with objects that are gone.
    pub fn give_forsaken(segment: &Segment, participant: &Participant) {
        let is_gone = |id| !is_there(segment, id);
        for (number, at) in participant.holding_cache.forsaken(is_gone) {
            segment.word(at).store(0, Ordering::Relaxed); // no record is about it any more
            participant.holdings.forget(number);
        }
    }

    /// What is held, as its owner sees it.
    pub fn amount(self, segment: &Segment) -> u64 {
        if segment.word(self.at).load(Ordering::Relaxed) == 0 {
            return 0;
        }
        segment.word(self.at + AMOUNT).load(Ordering::Relaxed)
    }

    /// Whether it says something of that object.
    pub fn is_of(self, segment: &Segment, id: ObjectId) -> bool {
        let word = |offset| segment.word(self.at + offset).load(Ordering::Relaxed);
        word(0) == id.row + 1 && word(SERIAL) == id.serial
    }

    /// Writes the entries that say what is held of the object, and which block with it, or 0.
    pub fn write(self, operation: &mut Operation, id: ObjectId, amount: u64, block: u64) {
        operation.write(self.at, id.row + 1);
        operation.write(self.at + SERIAL, id.serial);
        operation.write(self.at + AMOUNT, amount);
        operation.write(self.at + BLOCK, block);
    }

    /// Writes the entry that says that nothing is held.
    pub fn clear(self, operation: &mut Operation) {
        operation.write(self.at, 0);
    }
}

/// Whether an object lives, as far as can be seen without the directory's lock: one that is gone never
/// comes back.
fn is_there(segment: &Segment, id: ObjectId) -> bool {
    match rows::place(segment, superblock::OBJECTS, id.row, layout::OBJECT_ROW) {
        Ok(Place::At(at)) => segment.word(at).load(Ordering::Relaxed) == id.serial,
        _ => true,
    }
}

/// Whether a dead process's row still names the object: its drainer has not come to it. One whom
/// a reaper has at hand counts as alive.
pub fn is_unsettled(segment: &Segment, id: ObjectId) -> bool {
    let named = |at: u64| {
        let word = |offset| segment.word(at + offset).load(Ordering::Acquire); // pairs with apply
        word(0) == id.row + 1 && word(SERIAL) == id.serial
    };
    (0..SLOTS)
        .filter(|&slot| State::read(segment, slot).state == DRAINING)
        .filter_map(|slot| {
            let head = layout::slot_record(slot) + slot::HOLDINGS;
            rows::each(segment, head, ROW).ok()
        })
        .any(|rows| rows.into_iter().any(|(_, at)| named(at)))
}

/// Where a row of a participant's table is: our own, or a dead one's as its drainer finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct HoldingRow(pub u64);

impl HoldingRow {
    /// The object that it names; None in a free row.
    pub fn object(self, operation: &Operation) -> Option<ObjectId> {
        let named = operation.read(self.0).checked_sub(1)?;
        Some(ObjectId {
            row: named,
            serial: operation.read(self.0 + SERIAL),
        })
    }

    /// What is held; in a free row it means nothing.
    pub fn amount(self, operation: &Operation) -> u64 {
        operation.read(self.0 + AMOUNT)
    }

    /// The block that belongs to it, or 0.
    pub fn block(self, operation: &Operation) -> u64 {
        operation.read(self.0 + BLOCK)
    }

    /// Writes the entry by which no block belongs to it any more.
    pub fn give_block(self, operation: &mut Operation) {
        operation.write(self.0 + BLOCK, 0);
    }
}
