//! Runs of units, by bitmaps: where a run starts, whether it is free, which units are given back.

use crate::change::operation::Operation;
use crate::error::{Attempt, Result, Stop, corrupt};
use crate::memory::layout::{UNIT, bitmaps, bits, superblock};
use crate::memory::segment::Segment;
use crate::seed::{Bug, seeded};
use crate::sync::Ordering;

/// Runs longer than so many units begin behind the first so many, while there is room: chunks go there,
/// which stay, and would divide what is free.
const LOW: u64 = 16;

pub(super) fn unit_offset(segment: &Segment, unit: u64) -> u64 {
    segment.data() + unit * UNIT
}

pub(super) fn unit_at(segment: &Segment, offset: u64) -> u64 {
    (offset - segment.data()) / UNIT
}

/// Bits of the bitmaps, through the operation's record.
pub(super) struct Units<'o, 'a> {
    operation: &'o mut Operation<'a>,
    pub frontier: u64,
}

impl<'o, 'a> Units<'o, 'a> {
    pub fn new(operation: &'o mut Operation<'a>) -> Result<Self> {
        let frontier = operation.read(superblock::FRONTIER);
        if frontier > operation.segment.units() {
            return Err(corrupt(format!("{frontier} units are said to be in use")));
        }
        Ok(Units {
            operation,
            frontier,
        })
    }

    fn starts(&self, pair: u64) -> u64 {
        self.operation.read(bitmaps(pair * 64) + bits::START)
    }

    fn free(&self, pair: u64) -> u64 {
        self.operation.read(bitmaps(pair * 64) + bits::FREE)
    }

    pub(super) fn given(&self, pair: u64) -> u64 {
        self.operation.read(bitmaps(pair * 64) + bits::GIVEN)
    }

    fn set(&mut self, unit: u64, which: u64, value: bool) {
        let word = bitmaps(unit) + which;
        let (old, bit) = (self.operation.read(word), 1 << (unit % 64));
        self.operation
            .write(word, if value { old | bit } else { old & !bit });
    }

    /// Changes a count of units that the heap lock guards.
    fn count(&mut self, word: u64, more: u64, less: u64) {
        let old = self.operation.read(word);
        let new = old.wrapping_add(more).wrapping_sub(less);
        self.operation.write(word, new);
    }

    /// The first unit from `unit` on, below `end`, that is given back.
    pub(super) fn next_given(&self, unit: u64, end: u64) -> Option<u64> {
        let mut at = unit;
        while at < end {
            let rest = self.given(at / 64) >> (at % 64);
            if rest != 0 {
                let found = at + u64::from(rest.trailing_zeros());
                return (found < end).then_some(found);
            }
            at = (at / 64 + 1) * 64;
        }
        None
    }

    /// Where the units that are given back from `unit` on end, below `end`.
    pub(super) fn end_of_given(&self, unit: u64, end: u64) -> u64 {
        let mut at = unit;
        while at < end {
            let rest = !self.given(at / 64) >> (at % 64);
            if rest != 0 {
                return (at + u64::from(rest.trailing_zeros())).min(end);
            }
            at = (at / 64 + 1) * 64;
        }
        end
    }

    fn has_given(&self, unit: u64, units: u64) -> bool {
        self.operation.segment.has_holes() && self.next_given(unit, unit + units).is_some()
    }

    /// Which of 64 units are in no used run, among those of the file.
    fn unused(&self, pair: u64) -> u64 {
        let below = |end: u64| match end.saturating_sub(pair * 64) {
            0 => 0,
            rest => u64::MAX >> (64 - rest.min(64)),
        };
        let first = pair * 64;
        let (within, known) = (below(self.operation.segment.units()), below(self.frontier));
        let mut unused = within & !known;
        if known == 0 {
            return unused;
        }
        let (mut at, mut is_free) = (0, self.is_free(self.start(first)));
        let mut starts = self.starts(pair) & known;
        while at < 64 {
            let next = u64::from(starts.trailing_zeros());
            starts &= starts.wrapping_sub(1);
            if is_free && next > at {
                unused |= known & (u64::MAX << at) & (u64::MAX >> (64 - next));
            }
            if next < 64 {
                is_free = self.free(pair) >> next & 1 != 0;
            }
            at = next;
        }
        unused
    }

    /// Writes the entries that mark as given back up to `most` unused units of the highest 64 below
    /// `end` that have such, and those below if there are more; the first and their number, from the
    /// first to the last. None: there are none.
    pub(super) fn mark(&mut self, end: u64, most: u64) -> Option<(u64, u64)> {
        let mut pair = end.div_ceil(64);
        let mut marked: Option<(u64, u64)> = None;
        let mut count = 0;
        while pair > 0 && count < most && marked.is_none_or(|(first, _)| pair * 64 == first) {
            pair -= 1;
            let given = self.given(pair);
            if given == u64::MAX {
                continue;
            }
            let first = pair * 64;
            // A used run is passed over at once.
            if self.starts(pair) == 0 && first < self.frontier {
                let start = self.start(first);
                if !self.is_free(start) && self.frontier >= first + 64 {
                    pair = start / 64 + 1;
                    continue;
                }
            }
            let mut bits = self.unused(pair) & !given;
            if end < first + 64 {
                bits &= u64::MAX >> (first + 64 - end);
            }
            while u64::from(bits.count_ones()) > most - count {
                bits &= bits - 1; // the lowest stay
            }
            if bits == 0 {
                continue;
            }
            count += u64::from(bits.count_ones());
            let word = bitmaps(first) + bits::GIVEN;
            self.operation.write(word, given | bits);
            let top = first + 64 - u64::from(bits.leading_zeros());
            let last = marked.map_or(top, |(_, last)| last);
            marked = Some((first + u64::from(bits.trailing_zeros()), last));
        }
        self.count(superblock::GIVEN, count, 0);
        marked.map(|(first, last)| (first, last - first))
    }

    /// Writes the entries that no unit of these is given back any more.
    pub(super) fn unmark(&mut self, unit: u64, units: u64) {
        let end = unit + units;
        for pair in unit / 64..end.div_ceil(64) {
            let first = pair * 64;
            let mut bits = self.given(pair);
            if first < unit {
                bits &= u64::MAX << (unit - first);
            }
            if end < first + 64 {
                bits &= u64::MAX >> (first + 64 - end);
            }
            if bits != 0 {
                let given = self.given(pair);
                let word = bitmaps(first) + bits::GIVEN;
                self.operation.write(word, given & !bits);
                self.count(superblock::GIVEN, 0, u64::from(bits.count_ones()));
            }
        }
    }

    pub fn is_free(&self, unit: u64) -> bool {
        self.free(unit / 64) >> (unit % 64) & 1 != 0
    }

    pub fn is_start(&self, unit: u64) -> bool {
        self.starts(unit / 64) >> (unit % 64) & 1 != 0
    }

    /// The first unit after the run that `unit` is in.
    pub fn end(&self, unit: u64) -> u64 {
        let mut at = unit + 1;
        while at < self.frontier {
            let rest = self.starts(at / 64) >> (at % 64);
            if rest != 0 {
                return (at + u64::from(rest.trailing_zeros())).min(self.frontier);
            }
            at = (at / 64 + 1) * 64;
        }
        self.frontier
    }

    /// The first unit of the run that `unit` is in.
    pub fn start(&self, unit: u64) -> u64 {
        let mut pair = unit / 64;
        let mut word = self.starts(pair) & (u64::MAX >> (63 - unit % 64));
        while word == 0 && pair > 0 {
            pair -= 1;
            word = self.starts(pair);
        }
        if word == 0 {
            0
        } else {
            pair * 64 + 63 - u64::from(word.leading_zeros())
        }
    }

    /// First fit, from `low` on, among the free runs with so many units that are not given back; else
    /// first fit.
    fn find(&self, units: u64, low: u64) -> Option<u64> {
        let segment = self.operation.segment;
        let hint = segment.word(superblock::FIRST_FREE);
        let first = hint.load(Ordering::Relaxed).min(self.frontier) / 64;
        let mut passed = true; // nothing free so far: the hint may rise
        let mut given = None;
        for pair in first..self.frontier.div_ceil(64) {
            let mut word = self.free(pair);
            if passed && word != 0 {
                hint.store(pair * 64, Ordering::Relaxed);
                passed = false;
            }
            while word != 0 {
                let unit = pair * 64 + u64::from(word.trailing_zeros());
                let first = unit.max(low);
                if unit < self.frontier && first.saturating_add(units) <= self.end(unit) {
                    if !self.has_given(first, units) {
                        return Some(first);
                    }
                    given = given.or(Some(first));
                }
                word &= word - 1;
            }
        }
        given
    }

    /// What stops an operation that would leave less than it must (`Purpose`) of the units that are
    /// free, and have their pages, after it took so many more.
    pub(super) fn spare(&self, units: u64) -> Attempt<()> {
        let read = |word| self.operation.read(word);
        let has_holes = self.operation.segment.has_holes();
        let given = if has_holes {
            read(superblock::GIVEN)
        } else {
            0
        };
        let taken = read(superblock::USED).saturating_add(given);
        let need = taken
            .saturating_add(units)
            .saturating_add(self.operation.leaves());
        let all = self.operation.segment.units();
        let is_ignored = seeded(Bug::ReserveIgnored) || seeded(Bug::TakenUnreserved);
        if need <= all || is_ignored {
            return Ok(());
        }
        match self.next_given(0, all) {
            Some(first) if given > 0 => {
                let end = self.end_of_given(first, all);
                Err(Stop::Reserve(first, (end - first).min(need - all)))
            }
            _ => Err(Stop::Grow(units.saturating_mul(UNIT), need)),
        }
    }

    /// Where the units behind the last used run begin: with a free run, or at the frontier.
    fn tail(&self) -> u64 {
        let last = self.frontier.checked_sub(1).map(|unit| self.start(unit));
        last.filter(|&start| self.is_free(start))
            .unwrap_or(self.frontier)
    }

    /// Writes the entries that make a run of `units` used: a free one or a part of it, or a piece at the
    /// end, which begins with the free run there.
    pub fn take(&mut self, units: u64) -> Attempt<u64> {
        let all = self.operation.segment.units();
        let is_low = units <= LOW || self.operation.is_scarce();
        let low = if is_low { 0 } else { LOW };
        let unit = match self.find(units, low) {
            Some(unit) if !self.has_given(unit, units) => unit,
            found => {
                let tail = self.tail().max(low);
                // Rather what need not be reserved first.
                let ready = [tail, self.frontier.max(low)].into_iter().find(|&first| {
                    first.saturating_add(units) <= all && !self.has_given(first, units)
                });
                ready.or(found).unwrap_or(tail)
            }
        };
        let end = unit.saturating_add(units);
        if end > all {
            return Err(Stop::Grow(units.saturating_mul(UNIT), end));
        }
        if self.has_given(unit, units) && !seeded(Bug::TakenUnreserved) {
            return Err(Stop::Reserve(unit, units));
        }
        self.spare(units)?;
        if unit < self.frontier && self.is_start(unit) {
            self.set(unit, bits::FREE, false);
        } else {
            self.set(unit, bits::START, true);
        }
        if unit > self.frontier && self.tail() == self.frontier {
            self.set(self.frontier, bits::START, true); // what is left out is a free run
            self.set(self.frontier, bits::FREE, true);
        }
        if end > self.frontier {
            if seeded(Bug::TailInTwo) {
                self.operation.commit();
            }
            self.operation.write(superblock::FRONTIER, end);
        } else if end < self.end(unit) {
            self.set(end, bits::START, true);
            self.set(end, bits::FREE, true);
        }
        self.count(superblock::USED, units, 0);
        Ok(unit)
    }

    /// Writes the entries that make the run starting at `unit` free, joined with its neighbours.
    pub fn give(&mut self, unit: u64) -> Result<()> {
        if unit >= self.frontier || !self.is_start(unit) || self.is_free(unit) {
            return Err(corrupt(format!(
                "unit {unit} is freed but starts no used run"
            )));
        }
        let next = self.end(unit);
        self.count(superblock::USED, 0, next - unit);
        self.operation.freed(next - unit);
        if next < self.frontier && self.is_free(next) {
            self.set(next, bits::START, false);
            self.set(next, bits::FREE, false);
        }
        let mut first = unit;
        if unit > 0 && self.is_free(self.start(unit - 1)) {
            first = self.start(unit - 1);
            self.set(unit, bits::START, false);
        } else {
            self.set(unit, bits::FREE, true);
        }
        let hint = self.operation.segment.word(superblock::FIRST_FREE);
        hint.fetch_min(first, Ordering::Relaxed); // before the commit: at worst too low
        Ok(())
    }
}

/// What a block is, by its offset alone.
#[inline(always)]
pub fn is_large(segment: &Segment, block: u64) -> bool {
    block.wrapping_sub(segment.data()).is_multiple_of(UNIT)
}

/// Whether no more memory could be had lately.
#[inline]
pub fn is_scarce(segment: &Segment) -> bool {
    !cfg!(loom) && segment.word(superblock::SCARCE).load(Ordering::Relaxed) != 0 // a hint
}
