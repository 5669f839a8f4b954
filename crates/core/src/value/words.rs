//! Words that name blocks: how values and entries are ours before a record links them all, and
//! still are after one that unlinked them all.

use super::stored::discard;
use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Result};
use crate::heap;
use crate::memory::layout::{WORD, block, kind};
use crate::memory::segment::Segment;
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, deferred_free};
use crate::sync::Ordering;

/// A block of kind `WORDS` in our hands: how many words count, then the words. Dropping it frees
/// what they name.
pub struct Words<'a> {
    segment: &'a Segment,
    own: PendingBlock<'a>,
    pub room: u64,
}

impl<'a> Words<'a> {
    /// Room for so many; none counts yet.
    ///
    /// # Errors
    /// `Full`.
    pub fn new(purpose: Purpose, caller: Caller<'a, '_>, room: u64) -> Result<Words<'a>> {
        let length = (1 + room) * WORD;
        let own = PendingBlock::allocate_for(purpose, caller, length, kind::PLAIN)?;
        let segment = &caller.space.segment;
        segment.zero(own.payload(), length);
        let shape = segment.word(own.block() + block::SHAPE);
        shape.store(length | kind::WORDS << 56, Ordering::Relaxed);
        Ok(Words { segment, own, room })
    }

    /// The word that says how many count. Nobody but us writes it while we live.
    pub fn count_word(&self) -> u64 {
        self.own.payload()
    }

    /// Where a word is.
    pub fn word(&self, index: u64) -> u64 {
        self.own.payload() + (1 + index) * WORD
    }

    pub fn read(&self, index: u64) -> u64 {
        self.segment.word(self.word(index)).load(Ordering::Relaxed)
    }
}

/// Writes and commits the record that frees the next piece of a block of words that is being freed.
///
/// # Errors
/// `Stop` as the heap has it; `Corrupt`.
pub fn free_words_step(operation: &mut Operation, block: u64) -> Attempt<()> {
    let segment = operation.segment;
    let count = heap::payload(segment, block);
    segment.check_range(count, WORD)?;
    let Some(last) = operation.read(count).checked_sub(1) else {
        deferred_free::free_head(operation, block)?;
        operation.commit();
        return Ok(());
    };
    let word = count + WORD + last.min(segment.size()) * WORD;
    segment.check_range(word, WORD)?;
    let value = operation.read(word);
    operation.write(count, last);
    discard(operation, value)?;
    operation.commit();
    Ok(())
}
