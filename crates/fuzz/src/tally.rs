//! What the workers have done so far, in memory that they share with their parent.

use crate::exercise::{OUTCOMES, Outcome};
use crate::system;
use courtyard_core::layout::{PAGE, WORD};
use courtyard_core::os::boot_clock;
use courtyard_core::sync::{AtomicU64, Ordering};

/// One worker's page.
#[derive(Clone, Copy)]
pub struct Tally(&'static [AtomicU64; WORDS]);

const WORDS: usize = (PAGE / WORD) as usize;

const CURRENT: usize = 0;
const BEGUN: usize = 1;
const DONE: usize = 2;
const LONGEST: usize = 3;
const OUTCOME: usize = 4;

impl Tally {
    pub fn new() -> Tally {
        let page = system::map(PAGE as usize).cast();
        // SAFETY: a page of zeroed words, never unmapped, and only reached as atomics.
        Tally(unsafe { page.as_ref() })
    }

    fn get(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Relaxed)
    }

    fn set(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Relaxed);
    }

    fn add(&self, index: usize) {
        self.0[index].fetch_add(1, Ordering::Relaxed);
    }

    pub fn begin(&self, image: u64) {
        self.set(CURRENT, image);
        self.set(BEGUN, boot_clock().as_millis() as u64);
    }

    pub fn end(&self, outcome: Outcome) {
        let spent = self.milliseconds();
        self.set(BEGUN, 0);
        self.set(LONGEST, self.get(LONGEST).max(spent));
        self.add(DONE);
        let place = OUTCOMES.iter().position(|(known, _)| *known == outcome);
        self.add(OUTCOME + place.unwrap_or(0));
    }

    /// How long the current image has taken; 0 between two.
    pub fn milliseconds(&self) -> u64 {
        match self.get(BEGUN) {
            0 => 0,
            begun => (boot_clock().as_millis() as u64).saturating_sub(begun),
        }
    }

    pub fn current(&self) -> u64 {
        self.get(CURRENT)
    }

    pub fn done(&self) -> u64 {
        self.get(DONE)
    }

    pub fn longest(&self) -> u64 {
        self.get(LONGEST)
    }

    pub fn outcomes(&self) -> [u64; OUTCOMES.len()] {
        std::array::from_fn(|place| self.get(OUTCOME + place))
    }
}
