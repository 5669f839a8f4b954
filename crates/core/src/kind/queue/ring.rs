//! The first item of a line: a record in its ring, or a block.

use super::state::{A_JUMP, HEAD, Header, TAIL, head_of, read};
use crate::error::{Result, corrupt};
use crate::memory::layout::WORD;
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::sync::Ordering;

/// The oldest record: where the head goes with it, where it is, and its head.
pub(super) struct Front {
    pub record: u64,
    pub(super) header: Header,
}

impl Front {
    pub fn end(&self) -> u64 {
        self.record + self.header.size()
    }

    pub fn kind(&self) -> u64 {
        self.header.kind()
    }

    pub fn length(&self) -> u64 {
        self.header.length()
    }

    /// What is in a record of one word.
    pub(super) fn word(&self, segment: &Segment) -> u64 {
        segment.word(self.record + WORD).load(Ordering::Relaxed)
    }
}

/// The get lock is held.
#[inline]
pub(super) fn front(segment: &Segment, object: Object) -> Result<Option<Front>> {
    let mut record = segment.word(object + HEAD).load(Ordering::Relaxed);
    for _ in 0..2 {
        if record == read(segment, object + TAIL) {
            return Ok(None);
        }
        let header = head_of(segment, record)?;
        if header.kind() != A_JUMP {
            return Ok(Some(Front { record, header }));
        }
        record = segment.word(record + WORD).load(Ordering::Relaxed);
    }
    Err(corrupt("a queue jumps in circles"))
}

/// The first item, as the record being written takes it.
pub(super) enum First {
    Word(u64),
    Block(u64),
    Ring(Front),
}
