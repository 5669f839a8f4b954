//! What is changed in a valid file, decided by a seed.

use crate::image::Image;
use crate::link;
use crate::list;
use crate::name;
use crate::random::Random;
use crate::structure;
use crate::table;
use courtyard_core::layout::{self, PAGE, SLOTS, UNIT, WORD, slot, superblock};
use courtyard_core::lock;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// One change of a file.
pub enum Edit {
    Word(u64, u64),
    Bytes(u64, Vec<u8>),
    Length(u64),
}

type Change = fn(&mut Draft);

/// Kinds of mutations, by the name that a failure is reported with.
const KINDS: [(&str, Change); 20] = [
    ("bits", bits),
    ("bytes", scribble),
    ("words", words),
    ("swap", swap),
    ("page", page),
    ("truncation", truncation),
    ("extension", extension),
    ("foreign", foreign),
    ("superblock with its checksum", structure::checksummed),
    ("superblock", structure::counters),
    ("slots", structure::slots),
    ("journals", structure::journals),
    ("tables of a slot", structure::belongings),
    ("heap", structure::heap),
    ("directory", structure::directory),
    ("heads and locks", structure::heads),
    ("keys", table::spoil),
    ("elements", list::spoil),
    ("links", link::spoil),
    ("names", name::spoil),
];

/// The changes of one image, being chosen.
pub struct Draft<'a> {
    pub image: &'a Image,
    pub random: &'a mut Random,
    pub edits: Vec<Edit>,
}

/// Chooses the changes of an image; mostly of one kind, now and then of two.
pub fn choose(image: &Image, random: &mut Random) -> (String, Vec<Edit>) {
    let mut draft = Draft {
        image,
        random,
        edits: Vec::new(),
    };
    let (name, change) = draft.random.pick(&KINDS);
    let mut name = name.to_string();
    change(&mut draft);
    if draft.random.one_in(8) {
        let (second, change) = draft.random.pick(&KINDS);
        name = format!("{name}, {second}");
        change(&mut draft);
    }
    (name, draft.edits)
}

pub fn apply(edits: &[Edit], file: &File) -> std::io::Result<()> {
    for edit in edits {
        match edit {
            Edit::Word(at, value) => file.write_all_at(&value.to_ne_bytes(), *at)?,
            Edit::Bytes(at, bytes) => file.write_all_at(bytes, *at)?,
            Edit::Length(length) => file.set_len(*length)?,
        }
    }
    Ok(())
}

impl Draft<'_> {
    /// A word becomes another; what was read where no such structure is may lead out of the file.
    pub fn set(&mut self, at: u64, value: u64) {
        if at < self.image.length {
            self.edits.push(Edit::Word(at, value));
        }
    }

    /// What a word may be changed to.
    pub fn value(&mut self, at: u64) -> u64 {
        let old = self.image.word(at);
        let random = &mut *self.random;
        match random.below(16) {
            0 => old ^ 1 << random.below(64),
            1 => random.next(),
            2 => 0,
            3 => 1,
            4 => u64::MAX,
            5 => old.wrapping_add(random.pick(&[1, WORD, layout::LINE, UNIT])),
            6 => old.wrapping_sub(random.pick(&[1, WORD, layout::LINE, UNIT])),
            7 | 8 => random.pick(&self.image.places),
            9 => random.pick(&self.image.places) + WORD * random.below(8),
            10 => self.image.word(random.pick(&self.image.words)),
            11 => self.size(),
            12 => 1 << random.below(64),
            13 => random.below(1024),
            14 => self.holder(),
            _ => old.rotate_right(1),
        }
    }

    /// Sizes and ends, and what is just beside them.
    pub fn size(&mut self) -> u64 {
        let (random, image) = (&mut *self.random, self.image);
        let sizes = [
            image.length,
            image.data,
            image.frontier,
            image.word(superblock::SIZE),
            image.word(superblock::MAX_SIZE),
            layout::BITMAPS,
            layout::SLOT_RECORDS,
            1 << 40,
            1 << 47,
            1 << 63,
            u64::MAX,
        ];
        let near = [0, 1, WORD, layout::LINE, PAGE, UNIT];
        let size = random.pick(&sizes);
        match random.below(2) {
            0 => size.wrapping_sub(random.pick(&near)),
            _ => size.wrapping_add(random.pick(&near)),
        }
    }

    /// A lock word: of a slot in use as a rule, of a generation near its own; or kept for who starves.
    pub fn holder(&mut self) -> u64 {
        let random = &mut *self.random;
        let slot = match random.below(8) {
            0 => random.below(0x1_0000),
            1 => SLOTS - 1,
            _ => random.below(16),
        };
        let generation = match random.below(4) {
            0 => random.next() >> 32,
            _ => random.below(3),
        };
        let flags = (random.below(4) * random.below(2)) & (lock::WAITERS | lock::RECOVERED);
        let starving = match random.below(4) {
            0 => random.below(32) * lock::FIRST + random.below(32) * lock::SECOND,
            _ => 0,
        };
        match random.below(4) {
            0 => lock::kept(flags | starving),
            _ => generation << 32 | (slot + 1) << 16 | random.below(4) << 2 | flags | starving,
        }
    }

    pub fn set_any(&mut self, at: u64) {
        let value = self.value(at);
        self.set(at, value);
    }

    /// A word in this range that is not zero, if chance finds one.
    pub fn word_in(&mut self, start: u64, length: u64) -> u64 {
        let mut at = start;
        for _ in 0..16 {
            at = start + self.random.below(length / WORD) * WORD;
            if self.image.word(at) != 0 {
                break;
            }
        }
        at
    }

    pub fn some_slot(&mut self) -> u64 {
        match self.random.below(16) {
            0 => self.random.below(SLOTS),
            1 => SLOTS - 1,
            _ => self.random.below(16),
        }
    }

    /// A byte in a page that is not all zero, as a rule.
    fn somewhere(&mut self) -> u64 {
        if self.random.one_in(20) {
            return self.random.below(self.image.length);
        }
        let runs: Vec<_> = self.image.bytes().collect();
        let (start, length) = self.random.pick(&runs);
        start + self.random.below(length)
    }

    fn some_page(&mut self) -> u64 {
        self.somewhere() / PAGE * PAGE
    }
}

fn bits(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(8) {
        let at = match draft.random.below(2) {
            0 => draft.random.pick(&draft.image.words),
            _ => draft.somewhere() / WORD * WORD,
        };
        let bit = 1 << draft.random.below(64);
        draft.set(at, draft.image.word(at) ^ bit);
    }
}

fn scribble(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(4) {
        let at = draft.somewhere();
        let length = 1 + draft.random.below(64);
        let bytes = (0..length).map(|_| draft.random.next() as u8).collect();
        draft.edits.push(Edit::Bytes(at, bytes));
    }
}

fn words(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(8) {
        let at = draft.random.pick(&draft.image.words);
        draft.set_any(at);
    }
}

/// Two words, lines or pages in each other's place.
fn swap(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(4) {
        let size = draft.random.pick(&[WORD, layout::LINE, PAGE]);
        let (first, second) = match size {
            WORD => (
                draft.random.pick(&draft.image.words),
                draft.random.pick(&draft.image.words),
            ),
            size => (
                draft.somewhere() / size * size,
                draft.somewhere() / size * size,
            ),
        };
        for (to, from) in [(first, second), (second, first)] {
            let words = (0..size / WORD).map(|index| draft.image.word(from + index * WORD));
            let bytes = words.flat_map(u64::to_ne_bytes).collect();
            draft.edits.push(Edit::Bytes(to, bytes));
        }
    }
}

/// A page of zeros, of ones, of noise, or of addresses.
fn page(draft: &mut Draft) {
    let (start, sort) = (draft.some_page(), draft.random.below(4));
    let word = |_| match sort {
        0 => 0,
        1 => u64::MAX,
        2 => draft.random.next(),
        _ => draft.random.pick(&draft.image.places),
    };
    let page = (0..PAGE / WORD).map(word).flat_map(u64::to_ne_bytes);
    draft.edits.push(Edit::Bytes(start, page.collect()));
}

fn truncation(draft: &mut Draft) {
    let length = draft.image.length;
    let to = match draft.random.below(6) {
        0 => draft.random.below(length),
        1 => length - 1 - draft.random.below(PAGE),
        2 => draft.random.below(length / PAGE) * PAGE,
        3 => length - PAGE * (1 + draft.random.below(64)),
        4 => draft.image.data + draft.random.below(length - draft.image.data),
        _ => draft.size() % length,
    };
    draft.edits.push(Edit::Length(to));
    if draft.random.one_in(2) {
        // As if the file said so itself.
        draft.set(superblock::SIZE, to / PAGE * PAGE);
    }
}

fn extension(draft: &mut Draft) {
    let more = match draft.random.below(3) {
        0 => 1 + draft.random.below(PAGE),
        1 => PAGE * draft.random.below(64),
        _ => draft.random.below(64 << 20),
    };
    let length = draft.image.length + more;
    draft.edits.push(Edit::Length(length));
    if draft.random.one_in(2) {
        draft.set(superblock::SIZE, length / PAGE * PAGE);
    }
}

/// Not our file at all, or only its first pages.
fn foreign(draft: &mut Draft) {
    // With the first page alone kept, all slots are taken: a newcomer tries for a second.
    let keep = draft.random.pick(&[0, 2, 3, 4, 5]) * PAGE;
    let end = draft.image.length.min(layout::SLOT_RECORDS + slot::STRIDE);
    let noise = draft.random.next().to_ne_bytes();
    let bytes = match draft.random.below(3) {
        0 => vec![0; (end - keep) as usize],
        1 => noise.repeat(((end - keep) / WORD) as usize),
        _ => b"a text file\n".repeat(((end - keep) / 12) as usize),
    };
    draft.edits.push(Edit::Bytes(keep, bytes));
}
