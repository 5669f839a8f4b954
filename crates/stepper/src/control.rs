//! A few pages that the harness shares with its children: how far they are, what they found.

use crate::system;
use courtyard_core::sync::{AtomicU64, Ordering};
use std::ptr::NonNull;

const LENGTH: usize = 1 << 20;
const STATE: usize = 0;
const OUTCOME: usize = 1;
const FIGURES: usize = 2;
const WRITTEN: usize = 8;
const PAGES: usize = 9;
const MOST_PAGES: u64 = 100_000;
/// Words; after them the message's length and its bytes, one a word.
const MESSAGE: usize = PAGES + MOST_PAGES as usize;
const LONGEST: usize = 2000;
/// Of a store under way: its offset, the pages opened for it, the words around it.
const OFFSET: usize = MESSAGE + 1 + LONGEST;
const OPEN: usize = OFFSET + 1;
const COUNT: usize = OPEN + 1;
const OPENED: usize = COUNT + 1;
const SAVED: usize = OPENED + MOST_OPEN;
/// A store that straddles two pages opens both; a gather or scatter opens more.
const MOST_OPEN: usize = 16;

pub const UNUSED: u64 = 0;
/// The child is about to begin what it was forked for.
pub const MARKED: u64 = 1;
pub const DONE: u64 = 2;
pub const FAILED: u64 = 3;

#[derive(Clone, Copy)]
pub struct Control {
    words: NonNull<AtomicU64>,
}

// SAFETY: only reached as atomics.
unsafe impl Send for Control {}
// SAFETY: as above.
unsafe impl Sync for Control {}

impl Control {
    pub fn new() -> Control {
        Control {
            words: system::map(LENGTH, None, true).cast(),
        }
    }

    /// Gives the pages back; no child uses them any more.
    pub fn discard(self) {
        // SAFETY: reached through `self` and its copies, which are not used after this.
        unsafe { system::unmap(self.words.cast(), LENGTH) };
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < LENGTH / 8);
        // SAFETY: inside the mapping, as just checked.
        let word = unsafe { self.words.add(index) };
        // SAFETY: mapped for the life of the process, aligned, zero is a valid value.
        unsafe { word.as_ref() }
    }

    pub fn state(&self) -> u64 {
        self.word(STATE).load(Ordering::Acquire)
    }

    pub fn set_state(&self, state: u64) {
        self.word(STATE).store(state, Ordering::Release);
    }

    /// Forgets what the last child left.
    pub fn reset(&self) {
        self.set_state(UNUSED);
        self.word(WRITTEN).store(0, Ordering::Relaxed);
        self.word(OPEN).store(0, Ordering::Relaxed);
        self.word(MESSAGE).store(0, Ordering::Relaxed);
    }

    pub fn set_found(&self, outcome: u64, figures: &[u64; 5]) {
        self.word(OUTCOME).store(outcome, Ordering::Relaxed);
        for (index, &figure) in figures.iter().enumerate() {
            self.word(FIGURES + index).store(figure, Ordering::Relaxed);
        }
    }

    pub fn found(&self) -> (u64, [u64; 5]) {
        let figures = std::array::from_fn(|at| self.word(FIGURES + at).load(Ordering::Relaxed));
        (self.word(OUTCOME).load(Ordering::Relaxed), figures)
    }

    /// Notes a page that was written. Called in a signal handler.
    pub fn add_page(&self, page: u64) {
        let count = self.word(WRITTEN).fetch_add(1, Ordering::Relaxed);
        if count >= MOST_PAGES {
            system::leave(71);
        }
        self.word(PAGES + count as usize)
            .store(page, Ordering::Relaxed);
    }

    pub fn pages(&self) -> Vec<u64> {
        let count = self.word(WRITTEN).load(Ordering::Relaxed) as usize;
        (0..count)
            .map(|at| self.word(PAGES + at).load(Ordering::Relaxed))
            .collect()
    }

    /// A store that faulted: its page is about to be opened.
    pub fn open_page(&self, page: u64, offset: u64) {
        let count = self.word(OPEN).fetch_add(1, Ordering::Relaxed) as usize;
        if count >= MOST_OPEN {
            system::leave(75);
        }
        self.word(OPENED + count).store(page, Ordering::Relaxed);
        self.word(OFFSET).store(offset, Ordering::Relaxed);
    }

    /// The store is done: how many pages were opened for it, and where it was.
    pub fn close_pages(&self) -> (usize, u64) {
        let count = self.word(OPEN).swap(0, Ordering::Relaxed);
        self.word(COUNT).store(count, Ordering::Relaxed);
        (count as usize, self.word(OFFSET).load(Ordering::Relaxed))
    }

    /// A page that was opened for the last store.
    pub fn opened(&self, index: usize) -> u64 {
        self.word(OPENED + index).load(Ordering::Relaxed)
    }

    pub fn last_pages(&self) -> Vec<u64> {
        let count = self.word(COUNT).load(Ordering::Relaxed) as usize;
        (0..count.min(MOST_OPEN))
            .map(|at| self.opened(at))
            .collect()
    }

    pub fn save(&self, words: impl Iterator<Item = u64>) {
        for (at, word) in words.enumerate() {
            self.word(SAVED + at).store(word, Ordering::Relaxed);
        }
    }

    pub fn is_saved(&self, words: impl Iterator<Item = u64>) -> bool {
        words
            .enumerate()
            .all(|(at, word)| self.word(SAVED + at).load(Ordering::Relaxed) == word)
    }

    pub fn set_message(&self, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(LONGEST)];
        for (at, &byte) in bytes.iter().enumerate() {
            self.word(MESSAGE + 1 + at)
                .store(u64::from(byte), Ordering::Relaxed);
        }
        self.word(MESSAGE)
            .store(bytes.len() as u64, Ordering::Release);
    }

    pub fn message(&self) -> String {
        let length = self.word(MESSAGE).load(Ordering::Acquire) as usize;
        let bytes: Vec<u8> = (0..length.min(LONGEST))
            .map(|at| self.word(MESSAGE + 1 + at).load(Ordering::Relaxed) as u8)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Runs `work` and notes how it ended: in a child, which must not unwind into its parent's code.
pub fn guarded(control: Control, work: impl FnOnce() -> Result<(), String>) {
    std::panic::set_hook(Box::new(move |info| control.set_message(&info.to_string())));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    match result {
        Ok(Ok(())) => control.set_state(DONE),
        Ok(Err(text)) => {
            control.set_message(&text);
            control.set_state(FAILED);
        }
        Err(_) => control.set_state(FAILED),
    }
}
