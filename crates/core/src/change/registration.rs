//! Waits that no thread sleeps for: tasks register, and one thread of the process sleeps for all.
//!
//! A task registers the event words of what it waits for, looks, and waits for its token if there is
//! nothing to do yet. From the registration on a change of a word rings the bell of the space
//! (`wait::prepare_bell`). The thread sleeps on the bell. When it wakes up it looks at every registered
//! word, and hands out the tokens of those that are not as they were left. So a token says that
//! something may have happened, and never what: its task tries again.
//!
//! | what happens to a registered word | how the task learns of it                                       |
//! | --------------------------------- | --------------------------------------------------------------- |
//! | it changes                        | the thread: the bell rings after the change                     |
//! | it loses the flag, as whoever changed it before the registration clears that only now | the thread: the bell rings after that, too; until then a change that looks for a flag first may have found none |

use crate::change::wait;
use crate::memory::segment::Segment;
use crate::offset::EventWord;
use crate::seed::{Bug, seeded};
use crate::sync::{Mutex, MutexGuard, relax};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// The registrations of a process at the objects of one space.
pub struct Registrations<T>(Mutex<Table<T>>);

struct Table<T> {
    next: u64,
    waits: BTreeMap<u64, Wait<T>>,
}

struct Wait<T> {
    /// Each as it was announced.
    words: Vec<(EventWord, u64)>,
    token: T,
}

impl<T> Wait<T> {
    /// Whether all words are as they were announced.
    fn is_left(&self, segment: &Segment) -> bool {
        self.words.iter().all(|&(event, announced)| {
            let word = wait::observe(segment, event);
            word & wait::BELL != 0 && wait::version(word) == wait::version(announced)
        })
    }
}

impl<T> Default for Registrations<T> {
    fn default() -> Self {
        let (next, waits) = (0, BTreeMap::new());
        Registrations(Mutex::new(Table { next, waits }))
    }
}

impl<T> Registrations<T> {
    /// Registers event words, each to be looked at by the caller after this. The number cancels it.
    ///
    /// Nothing of it is in shared memory but the flags of the words, which their next changes clear.
    pub fn register(&self, segment: &Segment, events: &[EventWord], token: T) -> u64 {
        let announce = || {
            let words = events
                .iter()
                .map(|&event| (event, announce(segment, event)));
            words.collect::<Vec<_>>()
        };
        let early = seeded(Bug::BellBeforeRegistered).then(announce);
        // The thread looks at the table after the bell. It is held: the bell may ring as soon as a word
        // is announced.
        let mut table = self.table();
        let words = early.unwrap_or_else(announce);
        let number = table.next;
        table.next += 1;
        table.waits.insert(number, Wait { words, token });
        number
    }

    /// Ends a registration, and returns its token; None: that is handed out already.
    pub fn cancel(&self, number: u64) -> Option<T> {
        self.table().waits.remove(&number).map(|wait| wait.token)
    }

    /// Hands out the tokens of which a word is not as it was announced, in the order in which they were
    /// registered. The thread reads the bell before.
    pub fn changed(&self, segment: &Segment) -> Vec<T> {
        let mut table = self.table();
        let changed = table
            .waits
            .iter()
            .filter(|(_, wait)| !wait.is_left(segment));
        let numbers: Vec<u64> = changed.map(|(&number, _)| number).collect();
        let waits = numbers
            .iter()
            .filter_map(|number| table.waits.remove(number));
        waits.map(|wait| wait.token).collect()
    }

    /// Hands out the tokens of the waits at words from `first` on, before `end`.
    pub fn between(&self, first: u64, end: u64) -> Vec<T> {
        let mut table = self.table();
        let is_there = |&(event, _): &(EventWord, u64)| (first..end).contains(&event.0);
        let there = table
            .waits
            .iter()
            .filter(|(_, wait)| wait.words.iter().any(is_there));
        let numbers: Vec<u64> = there.map(|(&number, _)| number).collect();
        let waits = numbers
            .iter()
            .filter_map(|number| table.waits.remove(number));
        waits.map(|wait| wait.token).collect()
    }

    /// Hands out all tokens.
    pub fn all(&self) -> Vec<T> {
        let waits = std::mem::take(&mut self.table().waits);
        waits.into_values().map(|wait| wait.token).collect()
    }

    pub fn len(&self) -> usize {
        self.table().waits.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the next change of a word ring the bell; the word as it is then.
fn announce(segment: &Segment, event: EventWord) -> u64 {
    loop {
        let word = wait::observe(segment, event);
        // It fails if the word changes meanwhile, or gets a flag of another waiter's.
        match wait::prepare_bell(segment, event, word) {
            Some(announced) => return announced,
            None => relax(),
        }
    }
}
