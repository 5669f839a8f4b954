//! Which rows of its table of pending blocks a process has taken, and where the rows are.
//!
//! The first 64 rows are in the process's slot, the others in blocks, each twice as large as the
//! one before, that are added when there is no free row: whoever waits with a block in hand takes a
//! row from nobody. The last of the 64 is for adding.

use crate::memory::layout::WORD;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

const FIRST: u64 = 64;
/// Segments there may be. So many threads of a process may be at work at once: 4031.
pub const PARTS: usize = if cfg!(loom) { 1 } else { 6 };
const WORDS: usize = (1 << PARTS) - 1;
/// The row that a new segment is allocated in.
pub const SPARE: u64 = FIRST - 1;

pub struct Pending {
    /// A bit for each row that is taken; the spare one counts as taken.
    taken: [AtomicU64; WORDS],
    /// How many of these words have rows.
    ready: AtomicU64,
    /// Where the rows of each segment start.
    parts: [AtomicU64; PARTS],
    growing: AtomicBool,
}

impl Pending {
    /// `first` is where the first 64 rows are.
    pub fn new(first: u64) -> Pending {
        let start = |part| AtomicU64::new(if part == 0 { first } else { 0 });
        let spare = |word| AtomicU64::new(if word == 0 { 1 << SPARE } else { 0 });
        Pending {
            taken: std::array::from_fn(spare),
            ready: AtomicU64::new(1),
            parts: std::array::from_fn(start),
            growing: AtomicBool::new(false),
        }
    }

    /// A free row; None when all are taken.
    pub fn take(&self) -> Option<u64> {
        let ready = self.ready.load(Ordering::Acquire); // pairs with `add`, Release
        let words = &self.taken[..ready as usize];
        let mut words = words.iter().zip(0..);
        words.find_map(|(word, index)| take_bit(word, FIRST).map(|bit| index * FIRST + bit))
    }

    pub fn give(&self, row: u64) {
        if row != SPARE {
            let word = &self.taken[(row / FIRST) as usize];
            word.fetch_and(!(1 << (row % FIRST)), Ordering::Release);
        }
    }

    /// A bit for each of the first rows that is taken.
    pub fn first(&self) -> &AtomicU64 {
        &self.taken[0]
    }

    /// The word of a row.
    pub fn at(&self, row: u64) -> u64 {
        let part = (row / FIRST + 1).ilog2();
        let start = self.parts[part as usize].load(Ordering::Relaxed);
        start + (row - FIRST * ((1 << part) - 1)) * WORD
    }

    /// How many of the first rows are free.
    pub fn left(&self) -> u32 {
        self.taken[0].load(Ordering::Relaxed).count_zeros()
    }

    pub fn is_unused(&self) -> bool {
        let spare = |word| if word == 0 { 1 << SPARE } else { 0 };
        let mut words = self.taken.iter().zip(0..);
        words.all(|(taken, word)| taken.load(Ordering::Relaxed) == spare(word))
    }

    /// Makes the caller the one who adds a segment: which one; None: another thread is at it.
    /// `Some(PARTS)`: there are as many as may be.
    pub fn begin(&self) -> Option<usize> {
        let is_first = !self.growing.swap(true, Ordering::Acquire);
        let ready = self.ready.load(Ordering::Relaxed);
        is_first.then_some((ready + 1).ilog2() as usize)
    }

    /// The caller adds nothing any more.
    pub fn end(&self) {
        self.growing.store(false, Ordering::Release);
    }

    /// The rows of the segment start there.
    pub fn add(&self, part: usize, start: u64) {
        self.parts[part].store(start, Ordering::Relaxed);
        let words = (1 << (part + 1)) - 1;
        self.ready.store(words, Ordering::Release);
    }
}

/// Sets the lowest bit that is not set, of so many; None when all are.
pub fn take_bit(bits: &AtomicU64, count: u64) -> Option<u64> {
    let mut seen = bits.load(Ordering::Relaxed);
    loop {
        let row = u64::from(seen.trailing_ones());
        if row >= count {
            return None;
        }
        // pairs with giving, Release
        match bits.compare_exchange(seen, seen | 1 << row, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(row),
            Err(now) => seen = now,
        }
    }
}
