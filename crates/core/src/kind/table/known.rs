//! What a watcher knows of the keys of a table.

use super::state::Key;
use crate::object::Stored;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Things of keys, by their hashes, which no two keys have but by chance.
pub(super) type ByHash<T> = HashMap<u64, Vec<T>, BuildHasherDefault<Hashed>>;

/// The hash of what is a hash.
#[derive(Clone, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(32) // its low bits are those of the shard
    }
}

/// A key and its value.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) tag: u8,
    pub(super) key: Box<[u8]>,
    pub(super) value: Mark,
    /// Its turn of insertion: in this order keys are told of that were removed at once.
    pub(super) stamp: i64,
    /// The look that found it last.
    pub(super) look: u64,
}

/// As much of a value as tells it from another one: of bytes, a hash that no two values share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Word(u64),
    Bytes(u8, u64, u64),
}

impl Mark {
    pub(super) fn of(value: Stored<&[u8]>) -> Mark {
        match value {
            Stored::Word(word) => Mark::Word(word),
            Stored::Bytes(kind, bytes) => {
                let hash = xxh3_128_with_seed(bytes, bytes.len() as u64);
                Mark::Bytes(kind, (hash >> 64) as u64, hash as u64)
            }
        }
    }
}

/// What is known of a key.
pub(super) fn find<'a>(known: &'a mut ByHash<Known>, key: Key, hash: u64) -> Option<&'a mut Known> {
    let known = known.get_mut(&hash)?;
    let is_it = |known: &&mut Known| (known.tag, &*known.key) == (key.tag, key.bytes);
    known.iter_mut().find(is_it)
}
