//! What a segment contains, many bytes at a time: copied out, in and within it, compared.

use super::copy;
use super::layout::WORD;
use super::segment::Segment;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The last `count` bytes, at most 7, as the low end of a word.
#[inline(always)]
fn last_word(bytes: &[u8], count: usize) -> u64 {
    match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last) >> (8 * (8 - count)),
        None => bytes
            .iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Of bytes at an offset: their place in its word, the next word, how many come before that.
fn head_of(offset: u64, length: usize) -> (usize, u64, usize) {
    let next = offset.next_multiple_of(WORD);
    let lead = (offset % WORD) as usize;
    (lead, next, length.min((next - offset) as usize))
}

impl Segment {
    /// A row of words, bounds-checked once.
    ///
    /// # Panics
    /// As `word`.
    #[inline(always)]
    fn words(&self, offset: u64, count: u64) -> &[AtomicU64] {
        if count == 0 {
            return &[];
        }
        let first: *const AtomicU64 = self.word(offset);
        self.word(offset + (count - 1) * WORD);
        // SAFETY: both ends lie in the mapping, which lives as long as the segment; all words
        // between them too, and peers may write them, as atomics allow.
        unsafe { std::slice::from_raw_parts(first, count as usize) }
    }

    /// Copies bytes out, word by word: a peer may write meanwhile, so the caller checks after.
    pub fn copy_out(&self, offset: u64, to: &mut [u8]) {
        let (lead, offset, rest) = head_of(offset, to.len());
        let (head, to) = to.split_at_mut(rest);
        if !head.is_empty() {
            let word = self.word(offset - WORD).load(Ordering::Relaxed);
            head.copy_from_slice(&word.to_ne_bytes()[lead..lead + rest]);
        }
        let (chunks, tail) = to.as_chunks_mut::<8>();
        copy::out(self.words(offset, chunks.len() as u64), chunks);
        if !tail.is_empty() {
            let word = self.word(offset + chunks.len() as u64 * WORD);
            tail.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..tail.len()]);
        }
    }

    /// Copies bytes in, word by word; the rest of a first and of a last word becomes zero.
    pub fn copy_in(&self, offset: u64, from: &[u8]) {
        let (lead, offset, rest) = head_of(offset, from.len());
        let (head, from) = from.split_at(rest);
        if !head.is_empty() {
            let mut first = [0; 8];
            first[lead..lead + rest].copy_from_slice(head);
            let word = self.word(offset - WORD);
            word.store(u64::from_ne_bytes(first), Ordering::Relaxed);
        }
        let (chunks, tail) = from.as_chunks::<8>();
        copy::into(chunks, self.words(offset, chunks.len() as u64));
        if !tail.is_empty() {
            let mut last = [0; 8];
            last[..tail.len()].copy_from_slice(tail);
            let word = self.word(offset + chunks.len() as u64 * WORD);
            word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
    }

    /// Copies exactly these bytes from one place to another; the two do not overlap. A number
    /// of 1, 2, 4 or 8 bytes that is aligned in both places is stored at once.
    pub fn copy_within(&self, from: u64, to: u64, length: u64) {
        let head = match (from ^ to) % WORD {
            0 => (to.next_multiple_of(WORD) - to).min(length),
            _ => length, // they differ in phase: no whole words
        };
        self.copy_pieces(from, to, head);
        let count = (length - head) / WORD;
        copy::within(self.words(from + head, count), self.words(to + head, count));
        let done = head + count * WORD;
        self.copy_pieces(from + done, to + done, length - done);
    }

    /// As `copy_within`, by the largest stores that fit and are aligned.
    fn copy_pieces(&self, from: u64, to: u64, length: u64) {
        let order = Ordering::Relaxed;
        let mut done = 0;
        while done < length {
            let (from, to) = (from + done, to + done);
            let aligned = 1 << (from | to | WORD).trailing_zeros();
            let piece = aligned.min(1 << (length - done).ilog2());
            match piece {
                1 => {
                    let byte: &AtomicU8 = self.object(from);
                    self.object::<AtomicU8>(to).store(byte.load(order), order);
                }
                2 => {
                    let half: &AtomicU16 = self.object(from);
                    self.object::<AtomicU16>(to).store(half.load(order), order);
                }
                4 => {
                    let single: &AtomicU32 = self.object(from);
                    self.object::<AtomicU32>(to)
                        .store(single.load(order), order);
                }
                _ => self.word(to).store(self.word(from).load(order), order),
            }
            done += piece;
        }
    }

    /// Writes zero words.
    pub fn zero(&self, offset: u64, length: u64) {
        for word in self.words(offset, length / WORD) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the bytes there are these; copies nothing, so it may run under a lock.
    #[inline(always)]
    pub fn reads(&self, offset: u64, expected: &[u8]) -> bool {
        let (chunks, rest) = expected.as_chunks::<8>();
        let words = self.words(offset, chunks.len() as u64);
        let is_same = |(chunk, word): (&[u8; 8], &AtomicU64)| {
            u64::from_ne_bytes(*chunk) == word.load(Ordering::Relaxed)
        };
        if !chunks.iter().zip(words).all(is_same) {
            return false;
        }
        if rest.is_empty() {
            return true;
        }
        let word = self.word(offset + chunks.len() as u64 * WORD);
        let ends = 8 * (8 - rest.len());
        (word.load(Ordering::Relaxed).to_le() ^ last_word(expected, rest.len())) << ends == 0
    }
}
