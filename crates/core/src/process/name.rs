//! The names of threads and tasks, for people: noted in the slot of their process.
//!
//! A row: a word that says whose name it is, and up to 56 bytes of UTF-8 with zeros after them. An owner
//! has one row that its name may be in, where a later one takes its place. Nothing depends on it: who
//! finds another's name there, or none, goes without.
//!
//! The word: `WRITING | how often the row was written << 32 | serial`.
//!
//! | serial | WRITING | meaning                  | next                                             |
//! | ------ | ------- | ------------------------ | ------------------------------------------------ |
//! | 0      | no      | the row has no name      | of an owner and WRITING, written once more       |
//! | owner  | yes     | a thread writes its name | without WRITING, by that thread                  |
//! | owner  | no      | the name is that owner's | of another owner and WRITING, written once more  |
//!
//! A process that dies while it writes leaves WRITING, until its slot is somebody else's.

use crate::memory::layout::{self, WORD, slot};
use crate::memory::segment::Segment;
use crate::process::participant::Participant;
use crate::seed::{Bug, seeded};
use crate::sync::{Ordering, fence};

const WRITING: u64 = 1 << 63;
const ONCE: u64 = 1 << 32;
const SERIAL: u64 = ONCE - 1;
const WORDS: usize = (slot::NAME_ROW / WORD - 1) as usize;
const BYTES: usize = WORDS * WORD as usize;

/// A name as far as it fits. A peer may have written anything there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Name([u64; WORDS]);

impl Name {
    pub fn new(text: &str) -> Name {
        let end = (0..=BYTES.min(text.len()))
            .rev()
            .find(|&end| text.is_char_boundary(end));
        let text = &text.as_bytes()[..end.unwrap_or(0)];
        let mut name = Name::default();
        for (word, bytes) in name.0.iter_mut().zip(text.chunks(WORD as usize)) {
            let mut filled = [0; WORD as usize];
            filled[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(filled);
        }
        name
    }

    /// None: it is empty.
    pub fn text(&self) -> Option<String> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }
}

fn row_of(slot: u64, serial: u32) -> u64 {
    let row = u64::from(serial) % slot::NAME_ROWS;
    layout::slot_record(slot) + slot::NAMES + row * slot::NAME_ROW
}

/// Whether the owner's name is noted, or is being so.
pub fn is_noted(segment: &Segment, participant: &Participant, serial: u32) -> bool {
    let word = segment.word(row_of(participant.me.slot, serial));
    word.load(Ordering::Relaxed) & SERIAL == u64::from(serial)
}

/// Notes the name of an owner of this process if it has one, unless a thread is writing another one there.
///
/// # Crash
/// The row is WRITING, and has no name.
pub fn note(segment: &Segment, participant: &Participant, serial: u32, name: &Name) {
    if serial == 0 || *name == Name::default() || !participant.is_ours() {
        return;
    }
    let row = row_of(participant.me.slot, serial);
    let word = segment.word(row);
    let seen = word.load(Ordering::Relaxed);
    let ours = (seen & !SERIAL).wrapping_add(ONCE) & !WRITING | u64::from(serial);
    let is_there = seen & SERIAL == u64::from(serial);
    let is_free = !is_there && seen & WRITING == 0;
    // SYNC: name-row: our words come after those of who wrote here before
    let (found, failed) = (Ordering::Acquire, Ordering::Relaxed);
    let claim = || word.compare_exchange(seen, ours | WRITING, found, failed);
    if !is_free || claim().is_err() {
        return;
    }
    if !seeded(Bug::NameBeforeWriting) {
        fence(Ordering::Release); // SYNC: name-row: who reads a word of the name sees WRITING
    }
    for (at, &value) in (row + WORD..).step_by(WORD as usize).zip(&name.0) {
        segment.word(at).store(value, Ordering::Relaxed);
    }
    word.store(ours, Ordering::Release); // SYNC: name-row
}

/// The name of an owner, if it is noted.
pub fn read(segment: &Segment, slot: u64, serial: u32) -> Option<Name> {
    let row = row_of(slot, serial);
    let word = segment.word(row);
    let seen = word.load(Ordering::Acquire); // SYNC: name-row
    if serial == 0 || seen & (WRITING | SERIAL) != u64::from(serial) {
        return None;
    }
    let mut name = Name::default();
    for (at, value) in (row + WORD..).step_by(WORD as usize).zip(&mut name.0) {
        *value = segment.word(at).load(Ordering::Relaxed);
    }
    fence(Ordering::Acquire); // SYNC: name-row
    (word.load(Ordering::Relaxed) == seen).then_some(name)
}
