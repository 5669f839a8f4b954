//! How far each thread's records have come: a reader of what they change learns whether one was carried
//! through meanwhile.
//!
//! That all words read twice were the same does not say so. A consumer takes a block from a queue
//! after its tables were read, and frees it while they are read once more, after its magazine and
//! before its pending rows: the block was in none of these words, neither time.
//!
//! ```text
//! a = Progress::read      each record's count and what is to be replayed, each slot's state
//! ...                     reads
//! b = Progress::read      a == b and nothing was to be replayed: the words were so together
//! ```
//!
//! A record is counted by the store that clears it, so between two equal words that say that nothing is
//! to be replayed there was none. A slot's state tells one process from the next. What is not counted:
//! a change of one word without a record, and those of the record set apart for the GIL's holder
//! (`fast`). Neither moves a block or a link, and a change of an object's words by them moves its
//! sequence on, or changes the words that are compared themselves.

use crate::memory::layout::{self, SLOTS, record, slot};
use crate::memory::segment::Segment;
use crate::process::participant::{FREE, State};
use crate::sync::{Ordering, fence};

#[derive(PartialEq, Eq)]
pub struct Progress {
    states: Vec<State>,
    commits: Vec<u64>,
}

impl Progress {
    /// As it is after all that was read before this, and before all that is read after.
    pub fn read(segment: &Segment) -> Progress {
        fence(Ordering::Acquire); // pairs with the Release fence between commit and apply
        let states: Vec<State> = (0..SLOTS).map(|slot| State::read(segment, slot)).collect();
        let used = (0..).zip(&states).filter(|(_, state)| state.state != FREE);
        let records = used.flat_map(|(slot, _)| {
            (0..slot::RECORD_COUNT).map(move |index| layout::thread_record(slot, index))
        });
        // Acquire: pairs with the Release store that clears a record
        let commit = |base| segment.word(base + record::COMMIT).load(Ordering::Acquire);
        let commits = records.map(commit).collect();
        Progress { states, commits }
    }

    /// Whether no record was between its commit and its end.
    pub fn is_at_rest(&self) -> bool {
        self.commits
            .iter()
            .all(|commit| commit & record::TO_REPLAY == 0)
    }
}
