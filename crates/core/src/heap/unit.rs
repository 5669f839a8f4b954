//! Runs of units, by two bitmaps: where a run starts, and whether it is free.

use crate::error::{Attempt, Result, Stop, corrupt};
use crate::layout::{UNIT, WORD, bitmap_pair, superblock};
use crate::operation::Operation;
use crate::segment::Segment;
use crate::sync::Ordering;

pub(super) fn unit_offset(segment: &Segment, unit: u64) -> u64 {
    segment.data() + unit * UNIT
}

pub(super) fn unit_at(segment: &Segment, offset: u64) -> u64 {
    (offset - segment.data()) / UNIT
}

/// Bits of the two bitmaps, through the operation's record.
pub(super) struct Units<'o, 'a> {
    operation: &'o mut Operation<'a>,
    pub frontier: u64,
}

impl<'o, 'a> Units<'o, 'a> {
    pub fn new(operation: &'o mut Operation<'a>) -> Result<Self> {
        let frontier = operation.read(superblock::FRONTIER);
        let segment = operation.segment;
        segment.check_range(segment.data(), frontier.saturating_mul(UNIT))?;
        Ok(Units {
            operation,
            frontier,
        })
    }

    fn starts(&self, pair: u64) -> u64 {
        self.operation.read(bitmap_pair(pair * 64))
    }

    fn free(&self, pair: u64) -> u64 {
        self.operation.read(bitmap_pair(pair * 64) + WORD)
    }

    fn set(&mut self, unit: u64, second: bool, value: bool) {
        let word = bitmap_pair(unit) + if second { WORD } else { 0 };
        let (old, bit) = (self.operation.read(word), 1 << (unit % 64));
        self.operation
            .write(word, if value { old | bit } else { old & !bit });
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

    /// First fit.
    fn find(&self, units: u64) -> Option<u64> {
        let segment = self.operation.segment;
        let hint = segment.word(superblock::FIRST_FREE);
        let first = hint.load(Ordering::Relaxed).min(self.frontier) / 64;
        let mut passed = true; // nothing free so far: the hint may rise
        for pair in first..self.frontier.div_ceil(64) {
            let mut word = self.free(pair);
            if passed && word != 0 {
                hint.store(pair * 64, Ordering::Relaxed);
                passed = false;
            }
            while word != 0 {
                let unit = pair * 64 + u64::from(word.trailing_zeros());
                if unit < self.frontier && self.end(unit) - unit >= units {
                    return Some(unit);
                }
                word &= word - 1;
            }
        }
        None
    }

    /// Writes the entries that make a run of `units` used.
    pub fn take(&mut self, units: u64) -> Attempt<u64> {
        let segment = self.operation.segment;
        if let Some(unit) = self.find(units) {
            let end = self.end(unit);
            self.set(unit, true, false);
            if end > unit + units {
                self.set(unit + units, false, true);
                self.set(unit + units, true, true);
            }
            return Ok(unit);
        }
        let unit = self.frontier;
        let end = unit.saturating_add(units);
        if end > (segment.size() - segment.data()) / UNIT {
            return Err(Stop::Grow(units * UNIT));
        }
        self.set(unit, false, true);
        self.operation.write(superblock::FRONTIER, end);
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
        if next < self.frontier && self.is_free(next) {
            self.set(next, false, false);
            self.set(next, true, false);
        }
        let mut first = unit;
        if unit > 0 && self.is_free(self.start(unit - 1)) {
            first = self.start(unit - 1);
            self.set(unit, false, false);
        } else {
            self.set(unit, true, true);
        }
        let hint = self.operation.segment.word(superblock::FIRST_FREE);
        hint.fetch_min(first, Ordering::Relaxed); // before the commit: at worst too low
        Ok(())
    }
}
