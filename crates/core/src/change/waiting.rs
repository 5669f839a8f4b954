//! Who has been waiting for a while, and for what: noted in the waiter's own slot, for people.
//!
//! A row: `word | since`, the word that is slept on and the boot clock in nanoseconds; 0: free. It
//! is stored by plain stores of its owner's, and means nothing once the slot is not LIVE. Nothing
//! depends on it.

use crate::memory::layout::{self, SLOTS, WORD, slot};
use crate::memory::segment::Segment;
use crate::os;
use crate::process::participant::{LIVE, Participant, State};
use crate::sync::Ordering;
use std::time::Duration;

/// A note that lasts as long as this lives.
pub struct Note<'a> {
    segment: &'a Segment,
    participant: &'a Participant,
    row: u64,
}

fn row_of(slot: u64, row: u64) -> u64 {
    layout::slot_record(slot) + slot::WAITS + row * slot::WAIT_ROW
}

impl<'a> Note<'a> {
    /// Notes that we wait on a word, and have for so long; None if too many threads do.
    pub fn new(
        segment: &'a Segment,
        participant: &'a Participant,
        word: u64,
        waited: Duration,
    ) -> Option<Note<'a>> {
        if cfg!(loom) || !participant.is_ours() {
            return None; // a model would explore what nothing depends on
        }
        let row = participant.take_wait()?;
        let at = row_of(participant.me.slot, row);
        let since = os::boot_clock().saturating_sub(waited).as_nanos() as u64;
        segment.word(at + WORD).store(since, Ordering::Relaxed);
        segment.word(at).store(word, Ordering::Release); // pairs with `waits`, Acquire
        Some(Note {
            segment,
            participant,
            row,
        })
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if !self.participant.is_ours() {
            return; // a forked child: it is its parent's
        }
        let at = row_of(self.participant.me.slot, self.row);
        self.segment.word(at).store(0, Ordering::Relaxed);
        self.participant.give_wait(self.row);
    }
}

/// Somebody who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    pub slot: u64,
    pub word: u64,
    /// The boot clock, in nanoseconds.
    pub since: u64,
}

/// All who have been waiting for a while.
pub fn waits(segment: &Segment) -> Vec<Wait> {
    let mut waits = Vec::new();
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state == LIVE) {
        for row in 0..slot::WAIT_ROWS {
            let at = row_of(slot, row);
            let word = segment.word(at).load(Ordering::Acquire);
            if word != 0 {
                let since = segment.word(at + WORD).load(Ordering::Relaxed);
                waits.push(Wait { slot, word, since });
            }
        }
    }
    waits
}
