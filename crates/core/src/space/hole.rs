//! Holes: free units whose pages are given back to the system, and reserved before they are used again.
//!
//! A unit that is *marked* (`bits::GIVEN`) is in no used run, and its pages may be missing. Nobody
//! touches it, and nobody takes it before it is reserved. Marks change under the grow lock and the
//! heap lock; pages go and come under the grow lock alone. `GIVING` says for which marked units it is
//! not known whether their pages are there.
//!
//! | give back                                        | then `GIVING` | marks | pages    |
//! | ------------------------------------------------ | ------------- | ----- | -------- |
//! | a record marks units, and writes them down        | these         | set   | there    |
//! | whoever reads without a lock gets through         | these         | set   | there    |
//! | punch                                            | these         | set   | missing  |
//! | one store: it is done                            | none          | set   | missing  |
//!
//! | reserve                                          | then `GIVING` | marks | pages    |
//! | ------------------------------------------------ | ------------- | ----- | -------- |
//! | one store writes the units down                  | these         | set   | missing  |
//! | allocate: there is room, or `SpaceFull`           | these         | set   | there    |
//! | a record clears the marks, and what is written    | none          | clear | there    |
//!
//! Who dies in between leaves the units in `GIVING`, marked: whoever comes next, for whatever reason,
//! punches or allocates them again. Both may be done twice.

use crate::change::operation::Operation;
use crate::error::{Attempt, Error, Result};
use crate::memory::layout::{RESERVE, UNIT, superblock};
use crate::process::participant::{Participant, full};
use crate::seed::{Bug, seeded};
#[cfg(not(loom))]
use crate::space::WaitPolicy;
use crate::space::{Caller, Space, reading, within};
use crate::sync::Ordering;
use crate::{heap, os};
use std::io;
use std::time::Duration;

/// Units given back in one step, and reserved in one.
const STEP: u64 = 128;
const PIECE: u64 = 512;
/// Units reserved at once where fewer are needed.
const AT_LEAST: u64 = 16;

/// Of what was ever in use, this part is kept while it is free, within these units.
const KEPT_PART: u64 = 12;
const KEPT_LEAST: u64 = 64;
const KEPT_MOST: u64 = 768;
/// What was missed in the last second, in milliseconds, is kept as well: up to so many units, or as many
/// as are in use.
const MISSED_MOST: u64 = 640;
const LATELY: u64 = 1000;

/// Memory is not scarce any more where so many units are free: room for a chunk of any class.
const PLENTY: u64 = RESERVE + 16;

/// How long who frees something waits for a lock to give memory back.
const A_MOMENT: Duration = Duration::from_millis(1);
/// How often `trim` waits so long for who reads.
#[cfg(not(loom))]
const TURNS: u32 = 50;

/// What a space takes, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// In units in use.
    pub live: u64,
    /// In free units, whether they are given back or not.
    pub free: u64,
    /// Of memory, or of disk: by the whole file.
    pub taken: u64,
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// So many bytes went back.
    Given(u64),
    /// Somebody may still read there.
    Pending,
    /// The file system makes no holes: the marks are gone again.
    Refused,
}

impl Space {
    fn word(&self, word: u64) -> u64 {
        self.segment.word(word).load(Ordering::Relaxed)
    }

    /// What it takes, without a look at what is in it.
    ///
    /// # Errors
    /// `System`.
    #[cfg(not(loom))]
    pub fn memory(&self) -> Result<Memory> {
        let path = self.segment.path();
        let status = self.segment.file().and_then(|file| os::status_of(&file));
        let status = status.map_err(|source| Error::System {
            call: "fstat",
            path,
            source,
        })?;
        let live = self.word(superblock::USED).min(self.segment.units());
        Ok(Memory {
            live: live * UNIT,
            free: (self.segment.units() - live) * UNIT,
            taken: status.allocated,
        })
    }

    /// Free units that have their pages: all, and those below the frontier.
    fn idle(&self) -> (u64, u64) {
        let (units, used) = (self.segment.units(), self.word(superblock::USED));
        let idle = units
            .saturating_sub(used)
            .saturating_sub(self.word(superblock::GIVEN));
        let frontier = self.word(superblock::FRONTIER).min(units);
        (idle, idle.saturating_sub(units - frontier))
    }

    /// Of the units that are free now, so many may stay.
    fn kept(&self) -> u64 {
        let part = self.word(superblock::FRONTIER) / KEPT_PART;
        let kept = part.clamp(KEPT_LEAST, KEPT_MOST);
        let age = millis().saturating_sub(self.word(superblock::MISSED_AT));
        match age < LATELY {
            true => kept.max(self.word(superblock::MISSED).min(self.missed_most())),
            false => kept,
        }
    }

    fn missed_most(&self) -> u64 {
        self.word(superblock::USED).max(MISSED_MOST)
    }

    /// After so many units became free: gives some back if too many are. It waits for nobody, and
    /// works for as long as freeing so many may take.
    pub(crate) fn give_back(&self, participant: &Participant, freed: u64) {
        if heap::is_scarce(&self.segment) && self.idle().0 >= PLENTY {
            let scarce = self.segment.word(superblock::SCARCE);
            scarce.store(0, Ordering::Relaxed);
        }
        if cfg!(loom) || self.is_solid.load(Ordering::Relaxed) || !reading::is_enlisted() {
            return;
        }
        let units = self.segment.units();
        // What the file grew by in advance counts once the space has shrunk.
        let used = self.word(superblock::USED);
        let frontier = self.word(superblock::FRONTIER).min(units);
        let has_shrunk = used < frontier / 4 * 3;
        let idle = || {
            let (all, below) = self.idle();
            if has_shrunk { all } else { below }
        };
        let end = if has_shrunk { units } else { frontier };
        if idle() <= KEPT_LEAST {
            return;
        }
        let kept = self.kept();
        if idle() <= kept {
            return;
        }
        let mut left = 2 * freed + STEP;
        while left > 0 {
            let Some(surplus) = idle().checked_sub(kept / 4 * 3).filter(|&units| units > 0) else {
                return;
            };
            let most = surplus.min(STEP).min(left);
            let wait = &within(A_MOMENT);
            match Caller::new(self, participant, wait).step(end, most) {
                Ok(Some(Step::Given(_))) => left -= most,
                _ => return,
            }
        }
    }

    /// Gives all free memory back to the system but for the reserve: what this process has at hand, too.
    /// Returns how many bytes went back.
    ///
    /// # Errors
    /// `Interrupted` and `TimedOut` as the wait policy says: some may have gone back. `System`, `Corrupt`.
    ///
    /// # Crash
    /// As each step.
    #[cfg(not(loom))]
    pub fn trim(&self, wait: WaitPolicy) -> Result<u64> {
        self.sweep(wait)?;
        let caller = self.caller(wait)?;
        caller.reclaim()?;
        if !reading::is_enlisted() {
            return Ok(0);
        }
        let (mut given, mut turns) = (0, 0);
        loop {
            let end = self.segment.units();
            let most = self.idle().0.saturating_sub(RESERVE).min(STEP);
            match caller.step(end, most)? {
                None | Some(Step::Refused) => return Ok(given),
                Some(Step::Given(bytes)) => given += bytes,
                Some(Step::Pending) if turns == TURNS => return Ok(given),
                Some(Step::Pending) => {
                    turns += 1;
                    os::pause(A_MOMENT);
                }
            }
        }
    }

    fn punch_all(&self, pieces: &[(u64, u64)]) -> io::Result<u64> {
        let mut bytes = 0;
        for &(from, to) in pieces {
            self.segment.punch(from, to)?;
            bytes += to - from;
        }
        Ok(bytes)
    }

    /// What is written down in `GIVING`. The grow lock is held.
    fn giving(&self) -> Option<(u64, u64)> {
        let word = self.word(superblock::GIVING);
        (word != 0).then_some((word & 0xFFFF_FFFF, word >> 32))
    }

    fn give(&self, word: u64) {
        self.segment
            .word(superblock::GIVING)
            .store(word, Ordering::Release);
    }

    /// Allocates the pages of what is written down in `GIVING`, and clears its marks. Where there is
    /// no room for them, what is there of them goes back once nobody reads there. The grow lock is
    /// held.
    fn settle(&self, operation: &mut Operation, unit: u64, units: u64) -> Attempt<()> {
        let pieces = heap::given(operation, unit, units)?;
        if seeded(Bug::UnmarkedFirst) {
            self.unmark(operation, unit, units)?;
        }
        for &(from, to) in &pieces {
            if let Err(error) = self.segment.allocate(from, to) {
                if reading::has_passed(&self.segment)? && self.punch_all(&pieces).is_ok() {
                    self.give(0);
                }
                return Err(full(&self.segment, to - from, &error).into());
            }
        }
        crate::memory::crash_point!("hole.reserved");
        self.unmark(operation, unit, units)
    }

    /// The record that ends a reservation.
    fn unmark(&self, operation: &mut Operation, unit: u64, units: u64) -> Attempt<()> {
        operation.lock(superblock::HEAP_LOCK)?;
        heap::unmark(operation, unit, units)?;
        operation.write(superblock::GIVING, 0);
        operation.commit();
        Ok(())
    }

    /// Notes that units had been better kept. The grow lock is held.
    fn miss(&self, units: u64) {
        let missed = self.kept() + 2 * units;
        let put = |word, value| self.segment.word(word).store(value, Ordering::Relaxed);
        put(superblock::MISSED, missed);
        put(superblock::MISSED_AT, millis());
    }
}

impl Caller<'_, '_> {
    /// Marks up to `most` free units below `end`, and punches them, or what is left of another step.
    /// None: there are none.
    fn step(self, end: u64, most: u64) -> Result<Option<Step>> {
        if !self.mark(end, most)? {
            return Ok(None);
        }
        crate::memory::crash_point!("hole.marked");
        self.punch().map(Some)
    }

    /// Marks up to `most` free units below `end` as given back, unless others are under way. False:
    /// there are none.
    ///
    /// # Errors
    /// As `trim`.
    ///
    /// # Crash
    /// One record marks units and writes them down.
    pub fn mark(self, end: u64, most: u64) -> Result<bool> {
        self.run(|operation| {
            operation.lock(superblock::GROW_LOCK)?;
            if self.space.giving().is_some() {
                return Ok(true);
            }
            operation.lock(superblock::HEAP_LOCK)?;
            let Some((unit, units)) = heap::mark(operation, end, most)? else {
                return Ok(false);
            };
            if seeded(Bug::PunchedFirst) {
                let pieces = heap::given(operation, unit, units)?;
                let _ = self.space.punch_all(&pieces);
            }
            operation.write(superblock::GIVING, unit | units << 32);
            operation.commit();
            Ok(true)
        })
    }

    /// Gives back the pages of what is marked and written down, once nobody reads there.
    ///
    /// # Errors
    /// As `trim`.
    ///
    /// # Crash
    /// Until the last store the next one does it again.
    pub fn punch(self) -> Result<Step> {
        self.run(|operation| {
            operation.lock(superblock::GROW_LOCK)?;
            let Some((unit, units)) = self.space.giving() else {
                return Ok(Step::Given(0)); // another did it
            };
            if !reading::has_passed(&self.space.segment)? {
                return Ok(Step::Pending);
            }
            let pieces = heap::given(operation, unit, units)?;
            match self.space.punch_all(&pieces) {
                Ok(bytes) => {
                    crate::memory::crash_point!("hole.punched");
                    self.space.give(0);
                    Ok(Step::Given(bytes))
                }
                Err(_) => {
                    self.space.is_solid.store(true, Ordering::Relaxed);
                    self.space.settle(operation, unit, units)?;
                    Ok(Step::Refused)
                }
            }
        })
    }

    /// Reserves the pages of those of `units` units from `unit` on that are given back, and of some
    /// more where these are few.
    ///
    /// # Errors
    /// `Full`: what could not be reserved is still given back. `Interrupted`, `TimedOut`, `System`.
    ///
    /// # Crash
    /// As each piece.
    pub(crate) fn reserve(self, unit: u64, units: u64) -> Result<()> {
        let end = unit.saturating_add(units);
        if units < AT_LEAST {
            let more = self.reserve_piece(unit, AT_LEAST);
            if !matches!(more, Err(Error::Full(_))) {
                return more;
            }
        }
        let mut at = unit;
        while at < end {
            let next = (at / PIECE + 1) * PIECE;
            let piece = next.min(end) - at;
            if let Err(error) = self.reserve_piece(at, piece) {
                self.space.give_back(self.participant, at - unit); // the pieces before are of no use
                return Err(error);
            }
            at = next;
        }
        Ok(())
    }

    /// Reserves one piece.
    ///
    /// # Errors
    /// As `reserve`.
    ///
    /// # Crash
    /// Before the record the units are marked, and written down in `GIVING`; after it they are as any
    /// free units.
    fn reserve_piece(self, unit: u64, units: u64) -> Result<()> {
        self.run(|operation| {
            operation.lock(superblock::GROW_LOCK)?;
            if let Some((unit, units)) = self.space.giving() {
                self.space.settle(operation, unit, units)?; // of another step
            }
            let pieces = heap::given(operation, unit, units)?;
            if pieces.is_empty() {
                return Ok(()); // another reserved them
            }
            if !seeded(Bug::GivingForgotten) {
                self.space.give(unit | units << 32);
            }
            crate::memory::crash_point!("hole.noted");
            self.space.settle(operation, unit, units)?;
            let bytes: u64 = pieces.iter().map(|(from, to)| to - from).sum();
            self.space.miss(bytes / UNIT);
            Ok(())
        })
    }
}

fn millis() -> u64 {
    os::boot_clock().as_millis() as u64
}
