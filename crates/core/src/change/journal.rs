//! The record of one thread inside an operation: how more than one word changes at once.
//!
//! Entries `(word, new value)` are written, then *committed* by one store; then the sequence
//! words turn odd, the entries are applied, the sequences turn even, the record is cleared.
//!
//! | commit word     | died here leaves                     | recovery                    |
//! | --------------- | ------------------------------------ | --------------------------- |
//! | `n`, 0          | entries that mean nothing            | forgets them                |
//! | `n`, committed  | none, some or all of them applied    | applies all of them (again) |
//! | `n + 1`, 0      | the whole change                     | forgets it                  |
//!
//! So the word that clears a record also counts it, for whoever reads what records change and must
//! know whether one was carried through meanwhile (`progress`).
//!
//! Replay is right because every word named is guarded by a lock that the writer holds from
//! reading it until the record is cleared, and no word ever written without that lock is named.

use crate::change::transfer::Transfer;
use crate::error::Result;
use crate::memory::layout::{self, WORD, record, superblock};
use crate::memory::segment::Segment;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::sync::{Ordering, compiler_fence, fence};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A record being written, or a dead one's being replayed.
pub struct Record<'a> {
    segment: &'a Segment,
    base: u64,
    entries: u64,
    sequences: u64,
    copies: u64,
    chain: Chain,
    /// Which of 64 groups of words have entries: a bit each.
    groups: u64,
}

/// Where entries beyond `ENTRY_PAIRS` are, and what has an entry: found by hashing, since they
/// may be many.
#[derive(Default)]
struct Chain {
    payload: u64,
    pairs: u64,
    places: HashMap<u64, u64, BuildHasherDefault<WordHasher>>,
}

/// Hashes the offset of a word: these are spread as they are, but for the lowest bits.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}

impl<'a> Record<'a> {
    /// An empty record at `base`, the caller's own.
    pub fn new(segment: &'a Segment, base: u64) -> Record<'a> {
        Record {
            segment,
            base,
            entries: 0,
            sequences: 0,
            copies: 0,
            chain: Chain::default(),
            groups: 0,
        }
    }

    /// Lets the record have `pairs` more entries, in the payload of a block that is ours until it
    /// is clear; so many of all are set by `write`. Called before any lock is taken: it makes room for
    /// what finds these.
    ///
    /// # Errors
    /// `NoMemory` for that room.
    pub fn chain(&mut self, payload: u64, pairs: u64, written: u64) -> Result<()> {
        let mut places = HashMap::default();
        if written != 0 {
            room::reserve_in(&mut places, (record::ENTRY_PAIRS + written) as usize)?;
        }
        self.chain = Chain {
            payload,
            pairs,
            places,
        };
        Ok(())
    }

    fn put(&self, offset: u64, value: u64) {
        self.segment
            .word(self.base + offset)
            .store(value, Ordering::Relaxed);
    }

    fn get(&self, offset: u64) -> u64 {
        self.segment
            .word(self.base + offset)
            .load(Ordering::Relaxed)
    }

    /// Where an entry is in the segment.
    fn entry(&self, index: u64) -> u64 {
        match index.checked_sub(record::ENTRY_PAIRS) {
            None => self.base + record::ENTRIES + index * 2 * WORD,
            Some(beyond) => self.chain.payload + beyond * 2 * WORD,
        }
    }

    fn load(&self, word: u64) -> u64 {
        self.segment.word(word).load(Ordering::Relaxed)
    }

    fn store(&self, word: u64, value: u64) {
        self.segment.word(word).store(value, Ordering::Relaxed);
    }

    fn find(&self, word: u64) -> Option<u64> {
        if self.chain.payload != 0 {
            return self.chain.places.get(&word).copied();
        }
        if self.groups & group(word) == 0 {
            return None;
        }
        (0..self.entries).find(|&index| self.load(self.entry(index)) == word)
    }

    /// What the word will hold after commit: its entry, or what it holds now.
    pub fn read(&self, word: u64) -> u64 {
        match self.find(word) {
            Some(index) => self.load(self.entry(index) + WORD),
            None => self.segment.word(word).load(Ordering::Relaxed),
        }
    }

    /// Sets a word at commit. The caller holds the lock that guards it.
    ///
    /// # Panics
    /// When the record is full: every operation is bounded below that, by design.
    pub fn write(&mut self, word: u64, value: u64) {
        if let Some(index) = self.find(word) {
            return self.store(self.entry(index) + WORD, value);
        }
        if self.chain.payload != 0 {
            self.chain.places.insert(word, self.entries);
        }
        self.push(word, value);
    }

    /// Adds an entry, which is not found again: of two for one word the later counts.
    ///
    /// # Panics
    /// As `write`.
    pub fn push(&mut self, word: u64, value: u64) {
        assert!(
            self.entries < record::ENTRY_PAIRS + self.chain.pairs,
            "a record has {} entries",
            self.entries
        );
        if seeded(Bug::CommitBeforeEntries) {
            self.put(record::COMMIT, self.entries + 1);
        }
        let entry = self.entry(self.entries);
        self.store(entry, word);
        self.store(entry + WORD, value);
        self.groups |= group(word);
        self.entries += 1;
    }

    /// Turns a sequence word odd and even again around the change.
    pub fn sequence(&mut self, word: u64) {
        if seeded(Bug::SequenceLeftOut) {
            return;
        }
        assert!(self.sequences < record::SEQUENCE_PAIRS);
        let pair = Self::pair(self.sequences);
        self.put(pair, word);
        self.put(
            pair + WORD,
            self.segment.word(word).load(Ordering::Relaxed) & !1,
        );
        self.sequences += 1;
    }

    /// Copies bytes at commit, from memory that nobody changes before the record is clear.
    pub fn copy(&mut self, transfer: Transfer) {
        self.put(record::COPY_FROM, transfer.from);
        self.put(record::COPY_TO, transfer.to);
        self.put(record::COPY_LENGTH, transfer.length);
        self.put(record::COPY_COUNT, transfer.count);
        self.put(record::COPY_STRIDE, transfer.stride);
        self.copies = 1;
    }

    fn copied(&self) -> Transfer {
        Transfer {
            from: self.get(record::COPY_FROM),
            to: self.get(record::COPY_TO),
            length: self.get(record::COPY_LENGTH),
            count: self.get(record::COPY_COUNT),
            stride: self.get(record::COPY_STRIDE),
        }
    }

    /// Forgets what was written since the last commit.
    pub fn forget(&mut self) {
        (self.entries, self.sequences, self.copies, self.groups) = (0, 0, 0, 0);
        self.chain.places.clear();
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.copies == 0
    }

    /// Makes the change happen, whatever happens to us: the store to the commit word.
    ///
    /// # Crash
    /// Before that store nothing has changed; after it, everything will have.
    pub fn commit(&mut self) {
        let here = self.entries.min(record::ENTRY_PAIRS);
        let chained = self.entries - here;
        if chained != 0 && !seeded(Bug::ChainAfterCommit) {
            self.put(record::CHAIN, self.chain.payload);
        }
        let commit = self.segment.word(self.base + record::COMMIT);
        let carried = commit.load(Ordering::Relaxed) & !record::TO_REPLAY;
        let word = carried | record::committed(here, self.sequences, self.copies, chained);
        if seeded(Bug::OddBeforeCommit) {
            self.turn_odd();
        }
        compiler_fence(Ordering::SeqCst); // entries before commit
        crate::memory::crash_point!("journal.written");
        commit.store(word, Ordering::Release);
        compiler_fence(Ordering::SeqCst); // commit before apply
        if seeded(Bug::ChainAfterCommit) {
            self.put(record::CHAIN, self.chain.payload);
        }
        crate::memory::crash_point!("journal.committed");
        self.apply(cleared(word));
    }

    fn pair(index: u64) -> u64 {
        record::SEQUENCES + index * 2 * WORD
    }

    #[inline(always)]
    fn turn_odd(&self) {
        let segment = self.segment;
        for index in 0..self.sequences {
            let even = self.get(Self::pair(index) + WORD);
            if let Some(word) = segment.find(self.get(Self::pair(index))) {
                word.store(even | 1, Ordering::Relaxed);
            }
        }
    }

    /// Applies a committed record and clears it. Doing so again changes nothing. Words that were
    /// scribbled on since they were written, or looked at, are passed over.
    fn apply(&mut self, cleared: u64) {
        let segment = self.segment;
        if seeded(Bug::ClearBeforeApply) {
            self.put(record::COMMIT, cleared);
        }
        self.turn_odd();
        fence(Ordering::Release); // odd before data: pairs with the readers' Acquire fence
        crate::memory::crash_point!("journal.odd");
        for index in 0..self.entries {
            let entry = self.entry(index);
            if let Some(word) = segment.find(self.load(entry)) {
                word.store(self.load(entry + WORD), Ordering::Relaxed);
            }
            crate::memory::crash_point!("journal.applying");
        }
        if self.copies != 0 {
            let transfer = self.copied();
            if transfer.is_sound(segment) {
                transfer.apply(segment);
            }
        }
        crate::memory::crash_point!("journal.applied");
        for index in 0..self.sequences {
            let even = self.get(Self::pair(index) + WORD).wrapping_add(2);
            if let Some(word) = segment.find(self.get(Self::pair(index))) {
                word.store(even, Ordering::Release); // pairs with the readers' Acquire load
            }
        }
        compiler_fence(Ordering::SeqCst); // apply before clear
        segment
            .word(self.base + record::COMMIT)
            .store(cleared, Ordering::Release);
        compiler_fence(Ordering::SeqCst); // clear before the next record's entries
        crate::memory::crash_point!("journal.cleared");
        self.forget();
    }

    /// Replays a dead thread's record, if it was committed. False: it was committed but names
    /// words it may not name; it is then dropped unapplied.
    ///
    /// # Crash
    /// The next reaper does it again from the start; applying is idempotent.
    pub fn replay(segment: &Segment, base: u64) -> bool {
        let mut commit = segment.word(base + record::COMMIT).load(Ordering::Acquire);
        if seeded(Bug::UncommittedReplayed) {
            let named = |index: &u64| {
                let word = segment.word(base + record::ENTRIES + index * 2 * WORD);
                word.load(Ordering::Relaxed) != 0
            };
            commit = (0..record::ENTRY_PAIRS).take_while(named).count() as u64;
        }
        if commit & record::TO_REPLAY == 0 {
            return true;
        }
        let number = |from: u32, to: u32| (commit >> from) & ((1 << (to - from)) - 1);
        let chained = number(record::CHAINED_AT, record::CARRIED.trailing_zeros());
        let mut dead = Record {
            segment,
            base,
            entries: number(0, record::SEQUENCES_AT) + chained,
            sequences: number(record::SEQUENCES_AT, record::COPIES_AT),
            copies: number(record::COPIES_AT, record::CHAINED_AT),
            chain: Chain::default(),
            groups: 0,
        };
        if chained != 0 {
            dead.chain.payload = dead.get(record::CHAIN);
            dead.chain.pairs = chained;
        }
        if seeded(Bug::SequenceNotReplayed) {
            dead.sequences = 0;
        }
        if dead.is_sound() {
            dead.apply(cleared(commit));
            return true;
        }
        segment
            .word(superblock::DAMAGED)
            .store(base, Ordering::Relaxed);
        segment
            .word(base + record::COMMIT)
            .store(cleared(commit), Ordering::Release);
        false
    }

    fn is_sound(&self) -> bool {
        let chain = &self.chain;
        let room = self
            .segment
            .check_range(chain.payload, chain.pairs * 2 * WORD);
        // A record chains when it is full: else what follows its entries is an older one's.
        let here = self.entries - chain.pairs;
        if here > record::ENTRY_PAIRS
            || chain.pairs != 0 && (room.is_err() || here < record::ENTRY_PAIRS)
            || self.sequences > record::SEQUENCE_PAIRS
        {
            return false;
        }
        let data = |word: u64, length: u64| self.segment.check_range(word, length).is_ok();
        let bitmaps = layout::BITMAPS..self.segment.data();
        let named = |word: u64| {
            word.is_multiple_of(WORD)
                && (may_be_journaled(word) || bitmaps.contains(&word) || data(word, WORD))
        };
        (0..self.entries).all(|index| named(self.load(self.entry(index))))
            && (0..self.sequences).all(|index| data(self.get(Self::pair(index)), WORD))
            && (self.copies == 0 || self.copied().is_sound(self.segment))
    }
}

/// The bit of a word's group: neighbours are in different ones.
fn group(word: u64) -> u64 {
    1 << (word / WORD % 64)
}

/// The commit word after that of a committed record: it is carried through, and nothing is to be replayed.
fn cleared(commit: u64) -> u64 {
    if seeded(Bug::RecordsUncounted) {
        return commit & !record::TO_REPLAY;
    }
    (commit & !record::TO_REPLAY).wrapping_add(record::CARRIED)
}

/// Commits, applies and clears a record that has only entries, written at `base`, and perhaps a sequence
/// that readers watch: it is odd meanwhile. Words that were scribbled on since they were written are
/// passed over. The record is not counted, as it moves no block (see `progress`).
///
/// # Crash
/// As `Record::commit`.
#[inline(always)]
pub fn commit(segment: &Segment, base: u64, entries: u64, sequence: Option<u64>) {
    let sequence = sequence.map(|sequence| {
        let word = segment.word(sequence);
        let even = word.load(Ordering::Relaxed) & !1;
        let pair = base + Record::pair(0);
        segment.word(pair).store(sequence, Ordering::Relaxed);
        segment.word(pair + WORD).store(even, Ordering::Relaxed);
        (word, even)
    });
    let commit = segment.word(base + record::COMMIT);
    compiler_fence(Ordering::SeqCst); // entries before commit
    crate::memory::crash_point!("journal.written");
    let sequences = u64::from(sequence.is_some());
    let committed = record::committed(entries, sequences, 0, 0);
    commit.store(committed, Ordering::Release);
    compiler_fence(Ordering::SeqCst); // commit before apply
    crate::memory::crash_point!("journal.committed");
    if let Some((word, even)) = sequence {
        word.store(even | 1, Ordering::Relaxed);
        fence(Ordering::Release); // odd before data: pairs with the readers' Acquire fence
    }
    for index in 0..entries {
        let entry = base + record::ENTRIES + index * 2 * WORD;
        let word = segment.word(entry).load(Ordering::Relaxed);
        let value = segment.word(entry + WORD).load(Ordering::Relaxed);
        if let Some(word) = segment.find(word) {
            word.store(value, Ordering::Release); // pairs with readers of the word alone
        }
        crate::memory::crash_point!("journal.applying");
    }
    if let Some((word, even)) = sequence {
        word.store(even.wrapping_add(2), Ordering::Release); // pairs with the readers' Acquire load
    }
    compiler_fence(Ordering::SeqCst); // apply before clear
    commit.store(0, Ordering::Release);
    compiler_fence(Ordering::SeqCst); // clear before the next record's entries
    crate::memory::crash_point!("journal.cleared");
}

/// The words of the superblock and the slots that a lock guards: heap, directory, tables.
fn may_be_journaled(word: u64) -> bool {
    use superblock as s;
    match word {
        s::GIVEN | s::GIVING | s::USED => true,
        s::FRONTIER | s::RETIRED | s::FREE_OBJECT | s::NEXT_OBJECT | s::LIVE_OBJECTS => true,
        s::FREE_TICKET | s::NEXT_TICKET_ROW | s::OPEN_TICKETS => true,
        s::PARTIAL..s::NEXT_SERIAL | s::OBJECTS..s::END_OF_TABLES => true,
        layout::SLOT_RECORDS..layout::BITMAPS => is_table(word),
        _ => false,
    }
}

/// Inside a slot: its tables and magazines, never its journals.
fn is_table(word: u64) -> bool {
    use layout::slot;
    let at = (word - layout::SLOT_RECORDS) % slot::STRIDE;
    if at >= slot::FIRST_HOLDINGS {
        return at < slot::END_OF_HOLDINGS;
    }
    match at.checked_sub(slot::RECORDS) {
        None => {
            (slot::PENDING..slot::WAITS).contains(&at)
                || (slot::FIRST_MEMBERS..slot::END_OF_MEMBERS).contains(&at)
                || (slot::MORE_PENDING..slot::END_OF_PENDING).contains(&at)
        }
        Some(at) => at % record::STRIDE >= record::MAGAZINES,
    }
}
