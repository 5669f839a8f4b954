//! Growth: how a space's file becomes longer.

use crate::change::operation::Operation;
use crate::error::{Error, Result};
use crate::memory::layout::{self, PAGE, RESERVE, UNIT, superblock};
use crate::process::participant::{Participant, full};
use crate::seed::{Bug, seeded};
use crate::space::{Caller, Space};
use crate::sync::Ordering;
use crate::{heap, os};

/// A quarter of what the file has, within these.
const SMALLEST: u64 = 256 << 10;
const LARGEST: u64 = 64 << 20;

impl Caller<'_, '_> {
    /// Makes the heap `all` units long, for a block of so many bytes.
    ///
    /// # Crash
    /// Pages beyond the published size belong to nobody; the next growth allocates them again.
    ///
    /// # Errors
    /// `Full`, with nothing changed.
    pub(crate) fn grow(self, bytes: u64, all: u64) -> Result<()> {
        let Caller { space, .. } = self;
        let segment = &space.segment;
        let before = segment.size();
        self.run(|operation| {
            operation.lock(superblock::GROW_LOCK)?;
            let size = segment.size();
            if size != before {
                return Ok(()); // somebody else grew it meanwhile
            }
            let need = segment
                .data()
                .saturating_add(all.saturating_mul(UNIT))
                .max(size);
            let step = ((size - segment.data()) / 4).clamp(SMALLEST, LARGEST);
            let wish = need.max(layout::align_up(size + step, UNIT));
            let limit = space.limit();
            if need > limit {
                return Err(space.over_limit(bytes, limit).into());
            }
            space
                .extend(size, wish.min(limit))
                .or_else(|_| space.extend(size, need))?;
            Ok(())
        })
    }

    /// Gives the heap what is free but kept at hand for one class of blocks, where nothing else makes
    /// room: the blocks in this process's magazines, and the chunks that are empty then.
    ///
    /// # Errors
    /// `Interrupted` and `TimedOut` as the wait policy says; `System`, `Corrupt`.
    pub(crate) fn reclaim(self) -> Result<()> {
        self.space.empty_magazines(self.participant);
        self.run(heap::release_empty)
    }
}

impl Space {
    /// Says that no more memory can be had: all processes give back what they have at hand.
    pub(crate) fn say_scarce(&self) {
        if cfg!(loom) {
            return; // a hint, which models do without
        }
        let number = os::boot_clock().as_nanos() as u64 | 1;
        let scarce = self.segment.word(superblock::SCARCE);
        let _ = scarce.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// After a change: gives back what this process has at hand, once each time that memory is scarce.
    pub(crate) fn share(&self, participant: &Participant) {
        if !heap::is_scarce(&self.segment) {
            return;
        }
        let scarce = self.segment.word(superblock::SCARCE);
        let number = scarce.load(Ordering::Relaxed);
        if self.shared.swap(number, Ordering::Relaxed) != number {
            self.empty_magazines(participant);
        }
    }

    fn empty_magazines(&self, participant: &Participant) {
        // All records that are free just now. Nobody waits while holding them.
        let begin = || Operation::try_begin(&self.segment, participant);
        let mut operations: Vec<_> = std::iter::from_fn(begin).collect();
        for operation in &mut operations {
            if heap::flush_all(operation).is_err() {
                operation.abandon(); // the heap's lock is held: what is left stays at hand
            }
        }
    }

    /// Allocates the file and its bitmaps up to `to`, and publishes that.
    fn extend(&self, from: u64, to: u64) -> Result<()> {
        let segment = &self.segment;
        let unit = |offset: u64| (offset - segment.data()) / UNIT;
        let bitmap = |offset: u64| layout::bitmaps(unit(offset)) / PAGE * PAGE;
        let bitmaps = (bitmap(from), bitmap(to) + PAGE);
        if seeded(Bug::SizeBeforeAllocate) {
            segment.publish_size(to);
        }
        let ready = segment
            .allocate(bitmaps.0, bitmaps.1.min(segment.data()))
            .and_then(|()| segment.allocate(from, to));
        if let Err(error) = ready {
            if let Ok(file) = segment.file() {
                let _ = os::set_length(&file, from); // what was allocated in part
            }
            return Err(full(segment, to - from, &error));
        }
        crate::memory::crash_point!("heap.published");
        segment.publish_size(to);
        if heap::is_scarce(segment) {
            segment.word(superblock::SCARCE).store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The first extent of a new space, before anybody else knows it.
    ///
    /// # Errors
    /// `Full`.
    pub fn extend_new(&self) -> Result<()> {
        self.extend(self.segment.data(), self.segment.data() + SMALLEST)
    }

    /// Checks that so many bytes in one piece have room in the space, were it empty.
    ///
    /// # Errors
    /// `Full`.
    pub fn check_fits(&self, length: u64) -> Result<()> {
        let limit = self.limit();
        let most = (limit - self.segment.data()).saturating_sub(RESERVE * UNIT);
        match length.saturating_add(layout::block::LARGE) > most {
            true => Err(self.over_limit(length, limit)),
            false => Ok(()),
        }
    }

    fn limit(&self) -> u64 {
        let word = |offset| self.segment.word(offset).load(Ordering::Relaxed);
        let limit = match word(superblock::SIZE_LIMIT) {
            0 => u64::MAX,
            limit => self.segment.data().saturating_add(limit),
        };
        let most = self.segment.data() + self.segment.superblock().max_size;
        limit.min(most).min(self.segment.window()) / UNIT * UNIT
    }

    fn over_limit(&self, bytes: u64, limit: u64) -> Error {
        let used = self.segment.word(superblock::USED).load(Ordering::Relaxed);
        let used = used.saturating_mul(UNIT); // a peer may have written it
        let (data, kept) = (self.segment.data(), RESERVE * UNIT);
        let path = self.segment.path();
        let reason = match self
            .segment
            .word(superblock::SIZE_LIMIT)
            .load(Ordering::Relaxed)
        {
            0 => format!(
                "the space {} can hold at most {}",
                path.display(),
                limit - data
            ),
            limit => format!("the size_limit of {} is {limit}", path.display()),
        };
        Error::Full(format!(
            "no room for {bytes} more bytes in one piece: {used} are in use or set aside, {kept} are kept \
             so that the space can be emptied, and {reason} bytes; drop some objects, or make a space with a larger size_limit, or point \
             COURTYARD_DIR at a larger file system"
        ))
    }
}
