//! Bytes that a record copies.

use crate::memory::layout::WORD;
use crate::memory::segment::Segment;

/// Bytes copied by a record: pieces without gaps, from a place of the writer's own, to places
/// `stride` apart. It writes these bytes and no others: their neighbours may be changed without
/// the lock, through views and in arrays without one.
#[derive(Clone, Copy)]
pub struct Transfer {
    pub from: u64,
    pub to: u64,
    pub length: u64,
    pub count: u64,
    pub stride: u64,
}

impl Transfer {
    pub(super) fn apply(self, segment: &Segment) {
        for index in 0..self.count {
            let (from, to) = (
                self.from + index * self.length,
                self.to + index * self.stride,
            );
            segment.copy_within(from, to, self.length);
        }
    }

    pub(super) fn is_sound(self, segment: &Segment) -> bool {
        let data = |at: u64, length: Option<u64>| {
            let lead = at % WORD; // it may begin within a word
            let length = length.and_then(|length| length.checked_add(lead));
            length.is_some_and(|length| segment.check_range(at - lead, length).is_ok())
        };
        let last = self.count.saturating_sub(1).checked_mul(self.stride);
        let reach = last.and_then(|last| last.checked_add(self.length));
        self.length != 0
            && data(self.from, self.count.checked_mul(self.length))
            && data(self.to, reach)
    }
}
