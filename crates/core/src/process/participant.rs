//! A process registered in a space, and whether another one lives.
//!
//! A slot's state word: `generation << 32 | state`, changed by one store by whoever holds the
//! kernel's lock on the slot's byte.
//!
//! | state    | byte locked by    | meaning                                             | next |
//! | -------- | ----------------- | --------------------------------------------------- | ---- |
//! | FREE     | nobody, newcomer  | the record's content means nothing                  | LIVE |
//! | LIVE     | its process       | everything in the record is owned                   | FREE, generation + 1, as it ends |
//! | LIVE     | nobody, a reaper  | its process is dead: phase (a) is due               | DRAINING, generation + 1 |
//! | DRAINING | nobody, a drainer | its locks are free; phase (b) gives back the rest   | FREE |

use crate::error::{Error, Result};
use crate::memory::layout::{self, SLOTS, WORD, slot};
use crate::memory::segment::Segment;
use crate::os;
pub(crate) use crate::process::byte::system;
use crate::process::byte::{Anchor, Hold};
pub use crate::process::byte::{Right, any_alive, is_alive};
use crate::process::holding_cache::HoldingCache;
use crate::process::keep::{Keeps, Kept};
use crate::process::membership_cache::MembershipCache;
use crate::process::pending::{Pending, take_bit};
use crate::seed::{Bug, seeded};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

pub const FREE: u64 = 0;
pub const LIVE: u64 = 1;
pub const DRAINING: u64 = 2;

/// Records above our own that the file has room for from now on, so that when it cannot grow any
/// more a few processes can still come: to take things out, or to see what is there.
const RESERVE: u64 = 4;

/// How long a parent waits for a child that has to take its slot's byte for itself.
const TURN: Duration = Duration::from_millis(20);
const TURNS: u32 = 50;

/// Who acts: what lock words and tickets name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Me {
    pub slot: u64,
    pub generation: u32,
}

/// A slot's state word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub state: u64,
    pub generation: u32,
}

impl State {
    pub fn read(segment: &Segment, slot: u64) -> State {
        // pairs with the publishing stores, Release
        let word = segment
            .word(layout::slot_state(slot))
            .load(Ordering::Acquire);
        State {
            state: word & 3,
            generation: (word >> 32) as u32,
        }
    }

    /// The one store that changes a slot's state. The caller holds the slot's byte.
    pub fn write(segment: &Segment, slot: u64, state: u64, generation: u32) {
        let word = u64::from(generation) << 32 | state;
        segment
            .word(layout::slot_state(slot))
            .store(word, Ordering::Release);
    }
}

/// What a process knows of itself in one space, on a page that a forked child reads as zero.
#[derive(Default)]
pub struct Page {
    pub me: AtomicPtr<Participant>,
    /// Whether a thread registers just now.
    pub entering: AtomicBool,
}

/// This process in one space.
pub struct Participant {
    pub me: Me,
    /// Where it says who we are, once we are this one.
    page: Option<NonNull<Page>>,
    anchor: Anchor,
    /// Which thread records are inside an operation.
    busy: [AtomicBool; slot::RECORD_COUNT as usize],
    /// The rows of the table of pending blocks.
    pub pending: Pending,
    /// Which rows of the pin table are taken, a bit each.
    pins: AtomicU64,
    /// Which of those rows views keep.
    pub kept_blocks: Keeps,
    pub kept_pins: Keeps,
    /// Which rows of the notes of waiting are taken.
    waits: AtomicU64,
    /// Which rows of the table of holdings are taken.
    pub holdings: MembershipCache,
    /// Which of these rows objects are used by.
    pub holding_cache: HoldingCache,
}

// SAFETY: the anchor's page is never read or written.
unsafe impl Send for Participant {}
// SAFETY: as above.
unsafe impl Sync for Participant {}

impl Participant {
    /// Registers in `slot` if it is free. `inherited` is for a child about to be forked: the
    /// page that keeps it alive passes to the child.
    ///
    /// # Crash
    /// Before the publishing store the slot is still FREE and its byte falls with us; after it,
    /// LIVE with an empty record. Nothing else is touched.
    ///
    /// # Errors
    /// `System` for a refused call; `Full` if there is no memory for the record.
    pub fn claim(segment: &Segment, slot: u64, inherited: bool) -> Result<Option<Participant>> {
        let free = State::read(segment, slot);
        if free.state != FREE {
            return Ok(None);
        }
        let Some(hold) = Hold::take(segment, slot)? else {
            return Ok(None);
        };
        crate::memory::crash_point!("participant.locked");
        // Under the lock, again: another may have come and gone.
        let free = match seeded(Bug::ClaimBlindly) {
            true => free,
            false => State::read(segment, slot),
        };
        if free.state != FREE {
            return Ok(None);
        }
        let base = layout::slot_record(slot);
        segment
            .allocate(base, base + slot::STRIDE)
            .map_err(|e| full(segment, slot::STRIDE, &e))?;
        let anchor =
            Anchor::cast(hold, segment, slot, inherited).map_err(|e| system("mmap", segment, e))?;
        if seeded(Bug::PublishBeforeZero) {
            State::write(segment, slot, LIVE, free.generation);
        }
        segment.zero(base, slot::STRIDE);
        let boot = os::boot_id();
        let header = [
            (slot::PROCESS_ID, u64::from(os::process_id())),
            (slot::BOOT_ID, boot as u64),
            (slot::BOOT_ID + WORD, (boot >> 64) as u64),
            (slot::STARTED, os::boot_clock().as_nanos() as u64),
        ];
        for (offset, value) in header {
            segment.word(base + offset).store(value, Ordering::Relaxed);
        }
        crate::memory::crash_point!("participant.zeroed");
        State::write(segment, slot, LIVE, free.generation);
        crate::memory::crash_point!("participant.published");
        let ahead = (slot + 1 + RESERVE).min(SLOTS);
        let (from, to) = (layout::slot_record(slot + 1), layout::slot_record(ahead));
        if from < to {
            // Without it the next one asks for its own, and is told what is full.
            let _ = segment.allocate(from, to);
        }
        Ok(Some(Participant {
            me: Me {
                slot,
                generation: free.generation,
            },
            page: None,
            anchor,
            busy: Default::default(),
            pending: Pending::new(base + slot::PENDING),
            pins: AtomicU64::new(0),
            kept_blocks: Keeps::new(),
            kept_pins: Keeps::new(),
            waits: AtomicU64::new(0),
            holdings: MembershipCache::default(),
            holding_cache: HoldingCache::default(),
        }))
    }

    /// From now on that page says who we are.
    pub fn move_in(&mut self, page: NonNull<Page>) {
        self.page = Some(page);
    }

    /// Whether it is ours to use: not in a child that was forked inside a call of its parent's. Who
    /// never moved in, as a guest or a child to be, is whoever has it.
    #[inline(always)]
    pub fn is_ours(&self) -> bool {
        let Some(page) = self.page.filter(|_| !cfg!(loom)) else {
            return true; // models name the participant that acts
        };
        // SAFETY: the page stays mapped as long as its space.
        let page = unsafe { page.as_ref() };
        std::ptr::eq(page.me.load(Ordering::Relaxed), self)
    }

    /// # Errors
    /// `Forked` in a child that was forked inside a call of its parent's.
    #[inline(always)]
    pub fn require(&self) -> Result<()> {
        if self.is_ours() {
            return Ok(());
        }
        Err(Error::Forked)
    }

    /// Says that this process comes to its end by itself, and is not killed.
    ///
    /// # Crash
    /// One store.
    pub fn end_by_itself(&self, segment: &Segment) {
        if self.is_ours() {
            let ended = layout::slot_record(self.me.slot) + slot::ENDED;
            segment.word(ended).store(1, Ordering::Release);
        }
    }

    /// In the forked child: what keeps the slot alive is this process's own from now on. False: the slot
    /// was taken for dead before we came so far, and is not ours.
    pub fn settle(&mut self, segment: &Segment) -> bool {
        let ours = State {
            state: LIVE,
            generation: self.me.generation,
        };
        if !self.anchor.settle(segment) || State::read(segment, self.me.slot) != ours {
            return false;
        }
        let record = layout::slot_record(self.me.slot);
        let process = segment.word(record + slot::PROCESS_ID);
        process.store(u64::from(os::process_id()), Ordering::Release); // pairs with `hand_over`
        if self.anchor.is_shared() {
            segment.wake(record + slot::PROCESS_ID, 1);
        }
        true
    }

    /// In the parent after a fork: the child alone keeps its slot alive now. Where it has to take a lock of
    /// its own for that, it is given time to; a child that needs longer is nobody, and registers anew.
    pub fn hand_over(self, segment: &Segment) {
        let word = layout::slot_record(self.me.slot) + slot::PROCESS_ID;
        let own = u64::from(os::process_id());
        let mut turns = 0;
        while self.anchor.is_shared() && turns < TURNS {
            // pairs with `settle`, Release
            if segment.word(word).load(Ordering::Acquire) != own {
                break;
            }
            segment.sleep(word, own, TURN);
            turns += 1;
        }
        self.release_anchor();
    }

    /// Lets go of the slot's byte in this process: in the parent after a fork, when the child
    /// alone shall keep it; or for good.
    pub fn release_anchor(self) {
        self.anchor.release();
    }

    /// Whether no thread is inside an operation, and no block is ours, or read by a view of ours.
    pub fn is_idle(&self) -> bool {
        let rows = [&self.pins, &self.waits];
        self.pending.is_unused()
            && rows.iter().all(|rows| rows.load(Ordering::Relaxed) == 0)
            && !self.busy.iter().any(|busy| busy.load(Ordering::Relaxed))
    }

    /// As `release_anchor`, of one that other threads may still read: at the end of its space.
    pub fn let_go(&self) {
        self.anchor.let_go();
    }

    /// In a forked child: lets go of a descriptor that keeps the parent alive, inherited with it.
    pub fn disown(&self) {
        self.anchor.disown();
    }

    /// Takes a thread record: free again after microseconds, as nobody waits holding one.
    pub fn take_record(&self) -> u64 {
        loop {
            if let Some(index) = self.try_take_record() {
                return index;
            }
            os::yield_now();
        }
    }

    /// As `take_record`; None: all are taken just now.
    #[inline]
    pub fn try_take_record(&self) -> Option<u64> {
        // Record 0 is set apart for the fast path.
        let mut records = self.busy.iter().zip(0..).skip(1);
        // pairs with `give_record`, Release: the record's words are as it left them
        let free = records.find(|(busy, _)| !busy.swap(true, Ordering::Acquire));
        free.map(|(_, index)| index)
    }

    pub fn give_record(&self, index: u64) {
        self.busy[index as usize].store(false, Ordering::Release);
    }

    #[inline]
    pub fn record(&self, index: u64) -> u64 {
        layout::thread_record(self.me.slot, index)
    }

    /// A free row of the table of pending blocks, or None when all are taken.
    pub fn take_pending(&self) -> Option<u64> {
        self.pending.take()
    }

    /// How many of the first rows of the table of pending blocks are free.
    pub fn pending_left(&self) -> u32 {
        self.pending.left()
    }

    pub fn give_pending(&self, row: u64) {
        self.pending.give(row);
    }

    #[inline]
    pub fn pending_word(&self, row: u64) -> u64 {
        self.pending.at(row)
    }

    /// In a child: takes rows for what it inherits, at their numbers; false if one is taken.
    pub fn take_inherited(&self, pin: Option<Kept>, block: Option<Kept>) -> bool {
        let take = |bits: &AtomicU64, keeps: &Keeps, kept: Kept| {
            let bit = 1 << kept.row;
            let is_free = bits.fetch_or(bit, Ordering::Acquire) & bit == 0;
            if is_free {
                keeps.inherit(kept);
            }
            is_free
        };
        pin.is_none_or(|kept| take(&self.pins, &self.kept_pins, kept))
            && block.is_none_or(|kept| take(self.pending.first(), &self.kept_blocks, kept))
    }

    /// The row that names a block in hand of our parent's, which our views read.
    pub fn lent(&self, row: u64) -> u64 {
        layout::slot_record(self.me.slot) + slot::LENT_ROWS + row * WORD
    }

    /// Which of those rows may name one, a bit each.
    pub fn lent_bits(&self) -> u64 {
        layout::slot_record(self.me.slot) + slot::LENT
    }

    pub fn take_pin(&self) -> Option<u64> {
        take_bit(&self.pins, slot::PIN_ROWS)
    }

    /// Pins that are free now.
    pub fn pins_left(&self) -> u32 {
        slot::PIN_ROWS as u32 - self.pins.load(Ordering::Relaxed).count_ones()
    }

    pub fn give_pin(&self, row: u64) {
        self.pins.fetch_and(!(1 << row), Ordering::Release);
    }

    /// A free row for a note of waiting.
    pub fn take_wait(&self) -> Option<u64> {
        take_bit(&self.waits, slot::WAIT_ROWS)
    }

    pub fn give_wait(&self, row: u64) {
        self.waits.fetch_and(!(1 << row), Ordering::Release);
    }

    pub fn pin(&self, row: u64) -> u64 {
        layout::slot_record(self.me.slot) + slot::PINS + row * WORD
    }
}

pub(crate) fn full(segment: &Segment, need: u64, error: &io::Error) -> Error {
    let path = segment.path();
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM | libc::EFBIG) => Error::Full(format!(
            "no room for {need} more bytes on the file system of {}: {error}; free some there, point \
             COURTYARD_DIR at a larger one, or in Docker raise --shm-size",
            path.display()
        )),
        _ => Error::System {
            call: "fallocate",
            path,
            source: match error.raw_os_error() {
                Some(errno) => io::Error::from_raw_os_error(errno),
                None => io::Error::from(error.kind()),
            },
        },
    }
}
