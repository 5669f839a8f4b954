//! A block between the heap and a link: filled with nothing held, recorded in our name.

use crate::error::{Error, Result};
use crate::heap;
use crate::operation::Operation;
use crate::participant::Participant;
use crate::space::{Patience, Space, briefly};
use crate::sync::Ordering;

/// A row of this participant's unfinished table. Dropping it frees whatever block is there:
/// the new one if it was never linked, the old one if a record exchanged the two.
pub struct Unfinished<'a> {
    space: &'a Space,
    participant: &'a Participant,
    row: u64,
}

impl<'a> Unfinished<'a> {
    /// Takes a block for `length` bytes of payload and writes its head.
    ///
    /// # Errors
    /// `Full` when there is no room, or when 64 threads of this process already fill blocks.
    ///
    /// # Crash
    /// The drainer of this participant's slot frees it.
    pub fn allocate(
        space: &'a Space,
        participant: &'a Participant,
        patience: Patience,
        length: u64,
        kind: u64,
    ) -> Result<Unfinished<'a>> {
        let row = participant.take_unfinished().ok_or_else(|| {
            Error::Full("64 values are being written by this process at once; write fewer".into())
        })?;
        let unfinished = Unfinished {
            space,
            participant,
            row,
        };
        let owner = unfinished.word();
        space.run_as(participant, patience, |operation| {
            heap::allocate(operation, length, owner)
        })?;
        heap::head(&space.segment, unfinished.block(), length, kind);
        Ok(unfinished)
    }

    /// The word that owns the block.
    pub fn word(&self) -> u64 {
        self.participant.unfinished(self.row)
    }

    pub fn block(&self) -> u64 {
        self.space.segment.word(self.word()).load(Ordering::Relaxed)
    }

    pub fn payload(&self) -> u64 {
        heap::payload(&self.space.segment, self.block())
    }

    /// Writes the entry that ends our ownership: `instead` is what we own after the commit,
    /// 0 or a block that the same record unlinks.
    pub fn pass_on(&self, operation: &mut Operation, instead: u64) {
        operation.write(self.word(), instead);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // If that fails the block stays ours until this process ends.
        let owner = self.word();
        let freed = self
            .space
            .run_as(self.participant, &mut briefly(), |operation| {
                heap::free(operation, owner)
            });
        if freed.is_ok() {
            self.participant.give_unfinished(self.row);
        }
    }
}
