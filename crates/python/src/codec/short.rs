//! Short pieces of bytes in four words: read, compared and written without a loop. Words overlap
//! where the length is not theirs, so that together with it they say everything.

pub const LONGEST: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Short {
    words: [u64; 4],
    length: usize,
}

impl Short {
    pub const EMPTY: Short = Short {
        words: [0; 4],
        length: 0,
    };

    /// None: they are too many.
    #[inline(always)]
    pub fn new(bytes: &[u8]) -> Option<Short> {
        let length = bytes.len();
        let words = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let [first, last]: [[u8; 16]; 2] = [*first, *last];
            let half = |word: u128| [word as u64, (word >> 64) as u64];
            let (first, last) = (u128::from_le_bytes(first), u128::from_le_bytes(last));
            let ([a, b], [c, d]) = (half(first), half(last));
            [a, b, c, d]
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            [u64::from_le_bytes(*first), u64::from_le_bytes(*last), 0, 0]
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            [u64::from(first) | u64::from(last) << 32, 0, 0, 0]
        } else if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
            let middle = u64::from(bytes[length / 2]);
            [
                u64::from(*first) | middle << 8 | u64::from(*last) << 16,
                0,
                0,
                0,
            ]
        } else {
            [0; 4]
        };
        (length <= LONGEST).then_some(Short { words, length })
    }

    #[inline(always)]
    pub fn length(&self) -> usize {
        self.length
    }

    #[inline(always)]
    pub fn is_ascii(&self) -> bool {
        let [a, b, c, d] = self.words;
        (a | b | c | d) & 0x8080_8080_8080_8080 == 0
    }

    #[inline(always)]
    pub fn hash(&self) -> u64 {
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let [a, b, c, d] = self.words;
        let low = (a ^ c.rotate_left(17)).wrapping_add(self.length as u64);
        let high = (b ^ d.rotate_left(17)).wrapping_mul(SPREAD);
        (low ^ high.rotate_left(32)).wrapping_mul(SPREAD)
    }

    /// # Panics
    /// Unless there is room for just as many bytes.
    #[inline(always)]
    pub fn write(&self, to: &mut [u8]) {
        assert_eq!(to.len(), self.length);
        let [a, b, c, d] = self.words.map(u64::to_le_bytes);
        if to.len() >= 16 {
            to[..8].copy_from_slice(&a);
            to[8..16].copy_from_slice(&b);
            let last = to.len() - 16;
            to[last..][..8].copy_from_slice(&c);
            to[last + 8..][..8].copy_from_slice(&d);
        } else if let Some(first) = to.first_chunk_mut() {
            *first = a;
            if let Some(last) = to.last_chunk_mut() {
                *last = b;
            }
        } else if to.len() >= 4 {
            let last = to.len() - 4;
            to[..4].copy_from_slice(&a[..4]);
            to[last..].copy_from_slice(&a[4..]);
        } else if !to.is_empty() {
            let last = to.len() - 1;
            to[0] = a[0];
            to[to.len() / 2] = a[1];
            to[last] = a[2];
        }
    }
}
