//! The segment of a model: a table of loom's words, because those cannot lie on mapped memory.
//!
//! A model names the words that it touches; touching another one panics. Its system, `os`, has
//! futexes without a time limit.

use crate::error::{Result, corrupt};
use crate::memory::layout::{self, PAGE, SLOTS, UNIT, WORD, record, slot, superblock};
use crate::memory::superblock::Superblock;
use crate::mortal;
use crate::os::{self, Carrier, File, Woken};
use crate::sync::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The data area of every model.
pub const DATA: u64 = layout::data_start(64 * UNIT);
const SIZE: u64 = DATA + 8 * UNIT;
pub struct Segment {
    words: BTreeMap<u64, AtomicU64>,
    file: File,
    superblock: Superblock,
}

impl Segment {
    /// A segment of the slots' state words and these.
    pub fn new(words: impl IntoIterator<Item = u64>) -> Segment {
        let states = (0..SLOTS).map(layout::slot_state);
        let words = states.chain(words).map(|word| (word, AtomicU64::new(0)));
        let words: BTreeMap<_, _> = words.collect();
        // Nobody sleeps on the words of a slot.
        let futexes = words.keys().copied();
        let futexes = futexes.filter(|&word| word < PAGE || word >= DATA);
        Segment {
            file: File::create(futexes),
            words,
            superblock: Superblock::default(),
        }
    }

    /// A process is killed while it does nothing.
    pub fn free_head(&self, process: u64) {
        self.file.free_head(process);
    }

    /// The words of a slot that registering, reaping and an operation of so many entries touch.
    pub fn slot(slot: u64, entries: u64) -> impl Iterator<Item = u64> {
        let base = layout::slot_record(slot);
        let header = [
            slot::PROCESS_ID,
            slot::BOOT_ID,
            slot::BOOT_ID + WORD,
            slot::STARTED,
        ];
        let pins = (0..slot::PIN_ROWS).map(|row| slot::PINS + row * WORD);
        let head = header.into_iter().chain(pins).chain([slot::LENT]);
        let entries = (0..entries * 2).map(|word| record::ENTRIES + word * WORD);
        let sequence = [record::SEQUENCES, record::SEQUENCES + WORD];
        let journal = layout::thread_record(slot, slot::RECORD_COUNT - 1);
        let journal = sequence
            .into_iter()
            .chain(entries)
            .map(move |at| journal + at);
        let records = (0..slot::RECORD_COUNT).flat_map(move |index| {
            let wakes = (0..record::WAKE_WORDS).map(|word| record::WAKES + word * WORD);
            let head = wakes.chain([record::COMMIT]);
            head.map(move |at| layout::thread_record(slot, index) + at)
        });
        head.map(move |at| base + at).chain(records).chain(journal)
    }

    /// Acts as `process`, for at most `stores` stores; then it dies, and its locks fall.
    pub fn live<T>(&self, process: u64, stores: u64, body: impl FnOnce() -> T) -> Option<T> {
        let result = mortal::act(process, stores, body);
        if result.is_none() {
            self.file.free_head(process);
        }
        result
    }

    pub fn discard(self) {}

    pub fn file(&self) -> io::Result<&File> {
        Ok(&self.file)
    }

    pub fn reopen(&self) -> io::Result<Carrier> {
        Carrier::new(|| Ok(os::reopen(&self.file)))
    }

    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from("the model")
    }

    pub fn data(&self) -> u64 {
        DATA
    }

    pub fn size(&self) -> u64 {
        SIZE
    }

    pub fn window(&self) -> u64 {
        SIZE
    }

    pub fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    pub fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        self.zero(from, to - from);
        Ok(())
    }

    pub fn units(&self) -> u64 {
        (SIZE - DATA) / UNIT
    }

    /// Only models that name the words have holes.
    pub fn has_holes(&self) -> bool {
        let given = self.words.get(&superblock::GIVEN);
        given.is_some_and(|given| given.load(Ordering::Relaxed) != 0)
    }

    pub fn set_reading(&self, _: u64) {}

    pub fn stop_reading(&self) {}

    /// Models name who reads.
    pub fn reading(&self) -> Option<u64> {
        None
    }

    pub fn publish_size(&self, _: u64) {
        unreachable!("no model grows its segment");
    }

    /// # Panics
    /// On a word that the model does not name.
    pub fn word(&self, offset: u64) -> &AtomicU64 {
        let word = self.words.get(&offset);
        word.unwrap_or_else(|| panic!("offset {offset:#x} is not named by the model"))
    }

    /// # Panics
    /// As `word`: nobody scribbles in a model.
    pub fn find(&self, offset: u64) -> Option<&AtomicU64> {
        Some(self.word(offset))
    }

    /// # Errors
    /// `Corrupt` if the offset is not that of a word in the data area.
    pub fn at(&self, offset: u64) -> Result<&AtomicU64> {
        self.check_range(offset, WORD)?;
        Ok(self.word(offset))
    }

    /// # Errors
    /// `Corrupt` if `[offset, offset + length)` is not whole words in the data area.
    pub fn check_range(&self, offset: u64, length: u64) -> Result<()> {
        let end = offset.checked_add(length);
        if offset.is_multiple_of(WORD) && offset >= DATA && end.is_some_and(|end| end <= SIZE) {
            return Ok(());
        }
        Err(corrupt(format!(
            "offset {offset:#x} + {length} lies outside the data area"
        )))
    }

    pub fn copy_out(&self, offset: u64, to: &mut [u8]) {
        for (index, chunk) in to.chunks_mut(WORD as usize).enumerate() {
            let word = self.word(offset + index as u64 * WORD);
            let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }

    pub fn copy_in(&self, offset: u64, from: &[u8]) {
        for (index, chunk) in from.chunks(WORD as usize).enumerate() {
            let mut bytes = [0; WORD as usize];
            bytes[..chunk.len()].copy_from_slice(chunk);
            let word = self.word(offset + index as u64 * WORD);
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
    }

    /// Zeroes the words there that the model names.
    pub fn zero(&self, offset: u64, length: u64) {
        for (_, word) in self.words.range(offset..offset + length) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the bytes there are these; copies nothing, so it may run under a lock.
    pub fn reads(&self, offset: u64, expected: &[u8]) -> bool {
        expected
            .chunks(WORD as usize)
            .zip(0..)
            .all(|(chunk, index)| {
                let word = self.word(offset + index * WORD).load(Ordering::Relaxed);
                word.to_ne_bytes()[..chunk.len()] == *chunk
            })
    }

    /// Copies bytes, whole words of them, from one place to another; the two do not overlap.
    pub fn copy_within(&self, from: u64, to: u64, length: u64) {
        for at in (0..length).step_by(WORD as usize) {
            let word = self.word(from + at).load(Ordering::Relaxed);
            self.word(to + at).store(word, Ordering::Relaxed);
        }
    }

    /// Sleeps while the low half of the word at `offset` equals that of `expected`.
    pub fn sleep(&self, offset: u64, expected: u64, limit: Duration) -> Woken {
        let word = self.word(offset);
        let is_expected = || word.load(Ordering::SeqCst) as u32 == expected as u32;
        self.file.sleep(offset, is_expected, limit, 1)
    }

    /// As `sleep`, to be woken by those only who wake a sleeper with one of these bits.
    pub fn sleep_as(&self, offset: u64, expected: u64, limit: Duration, bits: u32) -> Woken {
        let word = self.word(offset);
        let is_expected = || word.load(Ordering::SeqCst) as u32 == expected as u32;
        self.file.sleep(offset, is_expected, limit, bits)
    }

    /// Wakes one sleeper on the word at `offset`, or all.
    pub fn wake(&self, offset: u64, count: u32) -> u32 {
        self.wake_of(offset, count, u32::MAX)
    }

    /// As `wake`, of those who sleep with one of these bits.
    pub fn wake_of(&self, offset: u64, count: u32, bits: u32) -> u32 {
        mortal::step();
        self.file.wake(offset, count, bits)
    }

    /// Whether anybody has ended.
    pub fn has_fallen(&self) -> bool {
        self.file.has_fallen()
    }
}

const _: () = assert!(SIZE.is_multiple_of(PAGE));
