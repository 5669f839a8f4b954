//! Who reads without a lock, so that the memory that such a reader may look at is not given back.
//!
//! A reader that takes no lock may follow a reference to a block that is freed meanwhile. What it
//! finds there it throws away; but if those pages had been given back, to read them would take new
//! ones, and where there are none left the kernel ends the process (SIGBUS). So a reader says first
//! that it reads, and whoever gives memory back marks it, makes all processors see that, and waits
//! until each process was seen once with nobody reading.
//!
//! ```text
//! reader                                  whoever gives back
//! 1  count itself in its slot             1  mark the units as given back
//! 2  (barrier)                            2  barrier, in all processes
//! 3  a reference: is its unit marked?     3  until it was 0 once: look at each slot's count
//!    no: follow it                        4  punch
//! 4  count itself out
//! ```
//!
//! | reader's step 3    | step 3 of who gives back | then                                          |
//! | ------------------ | ------------------------ | --------------------------------------------- |
//! | sees no mark       | sees the count           | waits until the reader is through             |
//! | sees the mark      | either                   | the reader keeps away: what it has is torn     |
//! | sees no mark       | does not see the count   | impossible: each stored, had a barrier, looked |
//!
//! Reading is frequent and giving back is rare, so the reader's barrier is none: the other side makes
//! every processor pass one for it (`os::barrier`).

use crate::change::recover;
use crate::error::Result;
use crate::memory::layout::{self, SLOTS, slot};
use crate::memory::segment::Segment;
use crate::os;
use crate::process::participant::{LIVE, Me, State};
use crate::seed::{Bug, seeded};
#[cfg(not(loom))]
use crate::sync::AtomicU32;
use crate::sync::{AtomicU64, Ordering, compiler_fence, fence, relax};

/// Looks at a count that is not 0 before the reader counts as stuck: preempted, or stopped.
const LOOKS: u32 = if cfg!(loom) { 1 } else { 2000 };

/// Whether this process takes part in the barriers of others.
#[cfg(not(loom))]
static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);
#[cfg(not(loom))]
const UNKNOWN: u32 = 0;
#[cfg(not(loom))]
const ENLISTED: u32 = 1;
#[cfg(not(loom))]
const REFUSED: u32 = 2;

/// Has this process take part in the barriers of others, once. Where that is refused (by an old
/// kernel, or by a filter of system calls) its threads make their own.
#[cfg(not(loom))]
pub fn enlist() {
    if STATE.load(Ordering::Relaxed) == UNKNOWN {
        let state = match os::enlist() {
            Ok(()) => ENLISTED,
            Err(_) => REFUSED,
        };
        STATE.store(state, Ordering::Relaxed);
    }
}

#[inline(always)]
pub fn is_enlisted() -> bool {
    #[cfg(not(loom))]
    return STATE.load(Ordering::Relaxed) == ENLISTED;
    #[cfg(loom)]
    false // readers make their own barriers
}

/// While it lives, no memory is given back that was not marked before it was made.
#[must_use]
pub struct Reading<'a> {
    word: Option<&'a AtomicU64>,
    is_alone: bool,
}

impl<'a> Reading<'a> {
    /// For a thread that holds the GIL as long as this lives, and runs no Python code meanwhile.
    #[inline(always)]
    pub fn alone(segment: &'a Segment) -> Reading<'a> {
        let word = segment.reading().map(|record| {
            let word = segment.word(record + slot::READING_ALONE);
            // Others with the GIL are here only between two of our calls: no one counts beside us.
            // A peer may have scribbled on it: no sum is a reason to panic.
            word.store(
                word.load(Ordering::Relaxed).wrapping_add(1),
                Ordering::Relaxed,
            );
            begin();
            word
        });
        Reading {
            word,
            is_alone: true,
        }
    }

    /// For any thread.
    #[inline]
    pub fn new(segment: &'a Segment) -> Reading<'a> {
        match segment.reading() {
            Some(record) => Reading::at(segment, record),
            None => Reading {
                word: None,
                is_alone: false,
            },
        }
    }

    /// As `new`, in the slot whose record this is.
    #[inline]
    pub fn at(segment: &'a Segment, record: u64) -> Reading<'a> {
        let word = segment.word(record + slot::READING);
        word.fetch_add(1, Ordering::Relaxed);
        begin();
        Reading {
            word: Some(word),
            is_alone: false,
        }
    }
}

/// Between being counted and the first look: pairs with the barrier in `has_passed`.
#[inline(always)]
fn begin() {
    if is_enlisted() {
        compiler_fence(Ordering::SeqCst);
    } else if !seeded(Bug::ReadWithoutFence) {
        fence(Ordering::SeqCst);
    }
}

impl Drop for Reading<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        match self.word {
            None => {}
            // Release: pairs with `has_passed`, which sees that all is read.
            Some(word) if self.is_alone => {
                word.store(
                    word.load(Ordering::Relaxed).wrapping_sub(1),
                    Ordering::Release,
                );
            }
            Some(word) => {
                word.fetch_add(u64::MAX, Ordering::Release); // one less
            }
        }
    }
}

/// Whether every reader is through that may not have seen what this thread stored before. False:
/// one is preempted or stopped while it reads, or the system has no such barrier.
///
/// # Errors
/// `System`, `Corrupt` from looking after the dead.
pub fn has_passed(segment: &Segment) -> Result<bool> {
    fence(Ordering::SeqCst); // pairs with `begin` where that makes its own
    if os::barrier().is_err() {
        return Ok(false);
    }
    if seeded(Bug::ReadersIgnored) {
        return Ok(true);
    }
    for slot in 0..SLOTS {
        let State { state, generation } = State::read(segment, slot);
        if state != LIVE {
            continue;
        }
        let record = layout::slot_record(slot);
        let words = [slot::READING_ALONE, slot::READING].map(|at| segment.word(record + at));
        if words.iter().all(|word| is_through(word)) {
            continue;
        }
        // Who died while it read is nobody that a missing page could end.
        if !recover::reap(segment, Me { slot, generation })? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_through(word: &AtomicU64) -> bool {
    for _ in 0..LOOKS {
        if word.load(Ordering::Acquire) == 0 {
            return true;
        }
        relax();
    }
    false
}
