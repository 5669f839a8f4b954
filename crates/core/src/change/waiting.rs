//! Who has been waiting for a while, and for what: noted in the waiter's own slot, for people.
//!
//! A row: `word | since | serial`, the word that is slept on, or 0: free; the boot clock in nanoseconds;
//! and the thread or task that waits, 0: not known. It is stored by plain stores of its owner's, and means
//! nothing once the slot is not LIVE. Nothing depends on it. The names are in `name`.

use crate::memory::layout::{self, SLOTS, WORD, slot};
use crate::memory::segment::Segment;
use crate::os;
use crate::process::name::{self, Name};
use crate::process::participant::{LIVE, Participant, State};
use crate::sync::Ordering;
use std::cell::Cell;
use std::time::Duration;

/// A thread or task, as people know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Who {
    /// Our own number of it; 0: not known.
    pub serial: u32,
    pub name: Name,
}

thread_local! {
    static WHO: Cell<Who> = Cell::default();
}

/// Says who this thread is, or acts as, in the notes of its waits.
pub fn introduce(who: Who) {
    WHO.set(who);
}

/// As who this thread was introduced.
pub fn introduced() -> Who {
    WHO.get()
}

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
    /// Notes who waits on a word, and has for so long; None if too many do.
    pub fn new(
        segment: &'a Segment,
        participant: &'a Participant,
        word: u64,
        waited: Duration,
        who: Who,
    ) -> Option<Note<'a>> {
        if cfg!(loom) || !participant.is_ours() {
            return None; // a model would explore what nothing depends on
        }
        let row = participant.take_wait()?;
        name::note(segment, participant, who.serial, &who.name);
        let at = row_of(participant.me.slot, row);
        let since = os::boot_clock().saturating_sub(waited).as_nanos() as u64;
        let serial = u64::from(who.serial);
        segment.word(at + WORD).store(since, Ordering::Relaxed);
        segment.word(at + 2 * WORD).store(serial, Ordering::Relaxed);
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
    pub who: Who,
}

/// An owner by its serial, with its name if it is noted.
pub fn who(segment: &Segment, slot: u64, serial: u64) -> Who {
    let serial = serial as u32; // a peer may have written anything
    let name = name::read(segment, slot, serial).unwrap_or_default();
    Who { serial, name }
}

/// All who have been waiting for a while.
pub fn waits(segment: &Segment) -> Vec<Wait> {
    let mut waits = Vec::new();
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state == LIVE) {
        for row in 0..slot::WAIT_ROWS {
            let at = row_of(slot, row);
            let word = segment.word(at).load(Ordering::Acquire);
            if word != 0 {
                let read = |offset| segment.word(at + offset).load(Ordering::Relaxed);
                let (since, who) = (read(WORD), who(segment, slot, read(2 * WORD)));
                waits.push(Wait {
                    slot,
                    word,
                    since,
                    who,
                });
            }
        }
    }
    waits
}
