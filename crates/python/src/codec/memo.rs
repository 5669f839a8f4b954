//! What was met before: so that an object held twice is written once, and is one object again.

use courtyard_core::error::Result;
use courtyard_core::room;

/// How much hashing an object costs, with all that it refers to: tuples and frozensets are hashed
/// anew each time they become keys, those that are only referred to included. Lists and dicts have
/// no hash, so nothing inside them counts.
#[derive(Clone, Copy, Default)]
pub struct Extent {
    /// Tuples and frozensets inside one another.
    pub height: u32,
    /// Items in all of them.
    pub weight: u32,
}

impl Extent {
    /// Of a tuple or frozenset of `count` items with these extents.
    #[inline]
    pub fn around(self, count: usize) -> Extent {
        Extent {
            height: self.height.saturating_add(1),
            weight: self.weight.saturating_add(Self::weigh(count)),
        }
    }

    /// Of two objects side by side.
    #[inline]
    pub fn beside(self, other: Extent) -> Extent {
        Extent {
            height: self.height.max(other.height),
            weight: self.weight.saturating_add(other.weight),
        }
    }

    fn weigh(count: usize) -> u32 {
        u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Containers inside one another that the native form goes into; deeper ones are pickled.
pub const DEPTH: u32 = 100;

/// Whether an encoded form of so many bytes may ask for so much hashing. Without references it
/// never asks for more than its length; with them it could ask for as much as it likes.
pub fn is_bearable(work: u64, length: usize) -> bool {
    work <= 64 * length as u64 + 4096
}

/// What has no number yet: a tuple or frozenset whose items are being written.
pub const OPEN: u32 = u32::MAX;

#[derive(Clone, Copy, Default)]
struct Slot {
    object: usize,
    /// Which use of the table wrote this; other slots are empty.
    epoch: u32,
    number: u32,
    extent: Extent,
}

/// A table from objects, by their address, to their numbers.
pub struct Memo {
    slots: Vec<Slot>,
    epoch: u32,
    used: usize,
    next: u32,
}

const SMALLEST: usize = 256;
const LARGEST: usize = 1 << 14;

impl Memo {
    pub fn new() -> Memo {
        Memo {
            slots: vec![Slot::default(); SMALLEST],
            epoch: 1,
            used: 0,
            next: 0,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.used, self.next) = (0, 0);
        if self.epoch == u32::MAX || self.slots.len() > LARGEST {
            *self = Memo::new();
        }
        self.epoch += 1;
    }

    /// Where the object is, or belongs.
    #[inline(always)]
    fn find(&self, object: usize) -> usize {
        let mask = self.slots.len() - 1;
        let hash = (object as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut at = (hash >> 32) as usize & mask;
        while self.slots[at].epoch == self.epoch && self.slots[at].object != object {
            at = (at + 1) & mask;
        }
        at
    }

    /// What is known of an object; if nothing is, it gets its number now, or, if `is_open`, when
    /// `close` is called.
    ///
    /// # Errors
    /// `NoMemory`.
    #[inline(always)]
    pub fn meet(&mut self, object: usize, is_open: bool) -> Result<Option<(u32, Extent)>> {
        let at = self.find(object);
        let slot = self.slots[at];
        if slot.epoch == self.epoch {
            return Ok(Some((slot.number, slot.extent)));
        }
        let number = if is_open { OPEN } else { self.take() };
        self.slots[at] = Slot {
            object,
            epoch: self.epoch,
            number,
            extent: Extent::default(),
        };
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            self.grow()?;
        }
        Ok(None)
    }

    fn take(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// Numbers an object that was met open.
    pub fn close(&mut self, object: usize, extent: Extent) {
        let (at, number) = (self.find(object), self.take());
        self.slots[at].number = number;
        self.slots[at].extent = extent;
    }

    #[cold]
    fn grow(&mut self) -> Result<()> {
        let count = self.slots.len() * 2;
        let mut slots = room::list(count)?;
        slots.resize(count, Slot::default());
        let old = std::mem::replace(&mut self.slots, slots);
        for slot in old.into_iter().filter(|slot| slot.epoch == self.epoch) {
            let at = self.find(slot.object);
            self.slots[at] = slot;
        }
        Ok(())
    }
}
