//! The bits of a lock word.

use crate::process::participant::Me;
use std::time::Duration;

/// Somebody sleeps.
pub const WAITERS: u64 = 1;

pub const RECOVERED: u64 = 2;

pub(super) const CPU_SHIFT: u32 = 2;

/// CPUs that are so far apart are taken for one: then nobody spins.
pub(super) const CPU_MASK: u64 = 0x7F;

pub(super) const SLOT_SHIFT: u32 = 16;

pub(super) const SLOT_MASK: u64 = 0x7FF;

pub(super) const GENERATION_SHIFT: u32 = 32;

/// What names the holder.
pub(super) const HOLDER: u64 = u64::MAX << GENERATION_SHIFT | SLOT_MASK << SLOT_SHIFT;

/// How long a sleeper goes without asking whether the owner lives.
pub const PROBE: Duration = Duration::from_millis(100);

#[inline]
pub(super) fn word_of(me: Me) -> u64 {
    u64::from(me.generation) << GENERATION_SHIFT | (me.slot + 1) << SLOT_SHIFT
}

/// Whether two words name the same holder.
#[inline]
pub fn is_held_by(word: u64, me: Me) -> bool {
    word & HOLDER == word_of(me)
}

/// Whether a word names nobody.
#[inline(always)]
pub fn is_free(word: u64) -> bool {
    word >> SLOT_SHIFT & SLOT_MASK == 0
}
