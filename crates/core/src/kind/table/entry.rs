//! One entry: a key, its original form, and a value or the way to it.

use super::state::{KEY_MOST, Key};
use crate::change::operation::class_for;
use crate::error::{Error, Result, corrupt};
use crate::memory::layout::{CLASSES, LINE, WORD, align_up, block, kind};
use crate::memory::segment::Segment;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;
use crate::value::SHORT_MOST;

pub const STAMP: u64 = block::SERIAL;
pub const VALUE: u64 = 16;
pub const META: u64 = 24;
const KEY: u64 = 32;

/// The tag of a value word that says that the value's bytes are in the entry.
const INLINE: u64 = 6;
/// Of a block's shape.
const LENGTH_MASK: u64 = (1 << 56) - 1;

const HAS_ORIGINAL: u64 = 1 << 31;
const TAG_SHIFT: u32 = 26;

/// How a key was first written, where that is another object than its bytes give back.
pub type Original<'a> = Option<(u8, &'a [u8])>;

/// The same, in memory of its own.
pub type OwnOriginal = Option<(u8, Vec<u8>)>;

pub fn borrow(original: &OwnOriginal) -> Original<'_> {
    original
        .as_ref()
        .map(|(kind, bytes)| (*kind, bytes.as_slice()))
}

/// Where an entry is; its block's class holds it wholly, or it was checked to lie in the heap.
/// A small block's payload begins at the same distance that these words count from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(pub u64);

/// A value that is in an entry: its kind, how long it is, and where.
pub struct Inline {
    pub kind: u8,
    pub length: u64,
    pub at: u64,
}

impl Entry {
    /// An entry that a word names, as data of a peer.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline(always)]
    pub fn at(segment: &Segment, offset: u64) -> Result<Entry> {
        segment.check_range(offset, KEY)?;
        Ok(Entry(offset))
    }

    #[inline(always)]
    fn read(self, segment: &Segment, offset: u64) -> u64 {
        segment.word(self.0 + offset).load(Ordering::Relaxed)
    }

    /// What the block must hold.
    ///
    /// # Errors
    /// `Full` if the key is too long.
    pub fn size(key: &Key, original: Original, inline: u64) -> Result<u64> {
        if key.bytes.len() > KEY_MOST {
            return Err(Error::Full(format!(
                "a key of {} bytes is longer than keys can be, {KEY_MOST}",
                key.bytes.len()
            )));
        }
        let original = original.map_or(0, |(_, bytes)| WORD + align_up(bytes.len() as u64, WORD));
        Ok(KEY - block::SMALL
            + align_up(key.bytes.len() as u64, WORD)
            + original
            + align_up(inline, WORD))
    }

    /// Writes all of an entry but what its value is, into a block that nobody else reads. It counts
    /// as a block without contents until the record that links it, so that who recovers us frees
    /// a value that is another row's once.
    pub fn fill(self, segment: &Segment, key: &Key, original: Original, size: u64, stamp: u64) {
        let put = |offset: u64, value: u64| {
            segment
                .word(self.0 + offset)
                .store(value, Ordering::Relaxed);
        };
        let kind = match seeded(Bug::ContentsBeforeLink) {
            true => kind::ENTRY,
            false => kind::PLAIN,
        };
        put(block::SHAPE, size | kind << 56);
        put(STAMP, stamp);
        let mut meta = key.bytes.len() as u64 | u64::from(key.tag) << TAG_SHIFT;
        segment.copy_in(self.0 + KEY, key.bytes);
        if let Some((kind, bytes)) = original {
            meta |= HAS_ORIGINAL;
            let at = align_up(KEY + key.bytes.len() as u64, WORD);
            put(at, (bytes.len() as u64) << 8 | u64::from(kind));
            segment.copy_in(self.0 + at + WORD, bytes);
        }
        put(META, meta);
    }

    /// Writes a value's bytes into an entry that nobody else reads; the value word that says so.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn fill_inline(self, segment: &Segment, kind: u8, parts: &[&[u8]]) -> Result<u64> {
        let mut at = self.value_at(segment)?;
        let room: u64 = parts.iter().map(|part| part.len() as u64).sum();
        segment.check_range(at, align_up(room, WORD))?; // a peer may scribble even here
        let mut length = 0;
        for part in parts {
            segment.copy_in(at, part);
            at += part.len() as u64;
            length += part.len() as u64;
        }
        Ok(inline_word(kind, length))
    }

    /// Where a value of so many bytes goes in place of the one that is there; None: the entry's block
    /// has no room for it.
    pub fn room_for(self, segment: &Segment, length: u64) -> Option<u64> {
        let at = self.value_at(segment).ok()?;
        let size = self.read(segment, block::SHAPE) & LENGTH_MASK;
        let end = self.0 + CLASSES[class_for(size)?];
        let length = align_up(length, WORD);
        (at + length <= end && segment.check_range(at, length).is_ok()).then_some(at)
    }

    pub fn set_value(self, segment: &Segment, word: u64) {
        segment.word(self.0 + VALUE).store(word, Ordering::Relaxed);
    }

    /// Its turn: of two entries of a table the one with the lower stamp comes first.
    pub fn stamp(self, segment: &Segment) -> i64 {
        self.read(segment, STAMP) as i64
    }

    #[inline(always)]
    pub fn value(self, segment: &Segment) -> u64 {
        segment.word(self.0 + VALUE).load(Ordering::Acquire)
    }

    pub fn place(self, segment: &Segment) -> u64 {
        self.read(segment, META) >> 32
    }

    /// The meta word with another place.
    pub fn meta_at(self, segment: &Segment, place: u64) -> u64 {
        self.read(segment, META) & 0xFFFF_FFFF | place << 32
    }

    /// Whether the key is this one.
    #[inline(always)]
    pub fn is(self, segment: &Segment, key: &Key) -> bool {
        let meta = self.read(segment, META) & 0xFFFF_FFFF & !HAS_ORIGINAL;
        meta == (key.bytes.len() as u64 | u64::from(key.tag) << TAG_SHIFT)
            && segment
                .check_range(self.0, KEY + align_up(key.bytes.len() as u64, WORD))
                .is_ok()
            && segment.reads(self.0 + KEY, key.bytes)
    }

    /// Tag and bytes of the key.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`.
    pub fn key(self, segment: &Segment) -> Result<(u8, Vec<u8>)> {
        let mut bytes = Vec::new();
        let tag = self.append_key(segment, &mut bytes)?;
        Ok((tag, bytes))
    }

    /// Copies the key's bytes into `to`, which they then are; its tag.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`.
    pub fn copy_key(self, segment: &Segment, to: &mut Vec<u8>) -> Result<u8> {
        to.clear();
        self.append_key(segment, to)
    }

    /// Copies the key's bytes to the end of `to`; its tag.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`.
    pub fn append_key(self, segment: &Segment, to: &mut Vec<u8>) -> Result<u8> {
        let meta = self.read(segment, META);
        let length = meta & KEY_MOST as u64;
        segment.check_range(self.0, KEY + align_up(length, WORD))?;
        append(segment, self.0 + KEY, length, to)?;
        Ok((meta >> TAG_SHIFT & 31) as u8)
    }

    /// Kind and bytes of the key's original form.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`.
    pub fn original(self, segment: &Segment) -> Result<OwnOriginal> {
        let mut bytes = Vec::new();
        let kind = self.append_original(segment, &mut bytes)?;
        Ok(kind.map(|kind| (kind, bytes)))
    }

    /// Copies the bytes of the key's original form to the end of `to`; its kind, if there is one.
    ///
    /// # Errors
    /// `Corrupt`, `NoMemory`.
    pub fn append_original(self, segment: &Segment, to: &mut Vec<u8>) -> Result<Option<u8>> {
        let meta = self.read(segment, META);
        if meta & HAS_ORIGINAL == 0 {
            return Ok(None);
        }
        let at = self.0 + align_up(KEY + (meta & KEY_MOST as u64), WORD);
        segment.check_range(at, WORD)?;
        let head = segment.word(at).load(Ordering::Relaxed);
        segment.check_range(at + WORD, align_up(head >> 8, WORD))?;
        append(segment, at + WORD, head >> 8, to)?;
        Ok(Some(head as u8))
    }

    /// Whether the key was first written as this.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn was(self, segment: &Segment, original: Original) -> Result<bool> {
        if original.is_none() && self.read(segment, META) & HAS_ORIGINAL == 0 {
            return Ok(true);
        }
        Ok(borrow(&self.original(segment)?) == original)
    }

    /// Whether both were first written in the same way.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn is_same_as(self, segment: &Segment, other: Entry) -> Result<bool> {
        if (self.read(segment, META) | other.read(segment, META)) & HAS_ORIGINAL == 0 {
            return Ok(true);
        }
        Ok(self.original(segment)? == other.original(segment)?)
    }

    /// Where a value in the entry begins: behind key and original.
    #[inline(always)]
    fn value_at(self, segment: &Segment) -> Result<u64> {
        let meta = self.read(segment, META);
        let at = self.0 + align_up(KEY + (meta & KEY_MOST as u64), WORD);
        if meta & HAS_ORIGINAL == 0 {
            return Ok(at);
        }
        segment.check_range(at, WORD)?;
        let head = segment.word(at).load(Ordering::Relaxed);
        Ok(at + WORD + align_up(head >> 8, WORD))
    }

    /// The value's bytes, if its word says that they are here.
    ///
    /// # Errors
    /// `Corrupt`.
    #[inline(always)]
    pub fn inline(self, segment: &Segment, word: u64) -> Result<Option<Inline>> {
        if !is_inline(word) {
            return Ok(None);
        }
        let (kind, length) = ((word >> 8) as u8, word >> 16);
        if length > SHORT_MOST {
            return Err(too_long(length));
        }
        let at = self.value_at(segment)?;
        segment.check_range(at, align_up(length, WORD))?;
        Ok(Some(Inline { kind, length, at }))
    }
}

/// Copies bytes of the segment, which are known to be in it, to the end of `to`.
///
/// # Errors
/// `NoMemory`.
#[inline]
pub fn append(segment: &Segment, from: u64, length: u64, to: &mut Vec<u8>) -> Result<()> {
    if length > LINE {
        let at = room::lengthen(to, length as usize)?;
        segment.copy_out(from, &mut to[at..]);
        return Ok(());
    }
    let end = to.len() + length as usize;
    room::reserve(to, align_up(length, WORD) as usize)?;
    for at in (0..length).step_by(WORD as usize) {
        let word = segment.word(from + at).load(Ordering::Relaxed);
        to.extend_from_slice(&word.to_ne_bytes());
    }
    to.truncate(end); // the last word may hold less
    Ok(())
}

#[cold]
fn too_long(length: u64) -> Error {
    corrupt(format!("an entry with a value of {length} bytes"))
}

pub fn inline_word(kind: u8, length: u64) -> u64 {
    INLINE | u64::from(kind) << 8 | length << 16
}

/// Whether a value word says that the value is in its entry.
#[inline(always)]
pub fn is_inline(word: u64) -> bool {
    word & crate::object::TAG_MASK == INLINE
}
