//! Event words: the only way to sleep until something changes.
//!
//! An event word: `sequence << 2 | BELL | SLEEPER`. The flags say who must be woken at a bump.
//!
//! | bit     | set by                                   | cleared by                          |
//! | ------- | ---------------------------------------- | ----------------------------------- |
//! | SLEEPER | a waiter, by CAS from the word it read   | a waker that saw it, before it wakes |
//! | BELL    | a waiter on many objects, in the same way | the same, before it rings the bell  |
//!
//! A waiter reads the word, tests its condition, sets its flag, sleeps on that value. A waker
//! changes the data, bumps, clears exactly the flags it saw, and then wakes. Clearing after the
//! wake, or flags it did not see, would strand a waiter that came between.

use crate::memory::layout::superblock;
use crate::memory::segment::Segment;
use crate::offset::EventWord;
use crate::os::Woken;
use crate::seed::{Bug, seeded};
use crate::sync::{Ordering, fence};
use std::time::Duration;

pub const SLEEPER: u64 = 1;
pub const BELL: u64 = 2;
const FLAGS: u64 = SLEEPER | BELL;
const STEP: u64 = 4;

/// The longest sleep before a waiter looks again, whatever happens: a last resort.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Reads an event word, before the condition is tested.
#[inline]
pub fn observe(segment: &Segment, event: EventWord) -> u64 {
    segment.word(event.0).load(Ordering::SeqCst) // pairs with `notify`
}

/// How often the object changed.
pub fn version(word: u64) -> u64 {
    word / STEP
}

/// Wakes the waiters after a change was stored. The caller's record names `event` meanwhile.
#[inline]
pub fn notify(segment: &Segment, event: EventWord) {
    // SeqCst pairs with `prepare`'s CAS and `observe`: the waiter sees the bump or we its flag.
    let seen = segment.word(event.0).fetch_add(STEP, Ordering::SeqCst);
    if seen & FLAGS != 0 {
        wake(segment, event, seen & FLAGS);
    }
}

/// As `notify`, if anybody waits: changes no word else.
#[inline]
pub fn notify_waiters(segment: &Segment, event: EventWord) {
    if cfg!(not(target_arch = "x86_64")) {
        // Change, then look: pairs with `prepare`'s fence. On x86 the unlock before is that fence.
        fence(Ordering::SeqCst);
    }
    if segment.word(event.0).load(Ordering::SeqCst) & FLAGS != 0 {
        notify(segment, event);
    }
}

#[cold]
fn wake(segment: &Segment, event: EventWord, flags: u64) {
    crate::memory::crash_point!("wait.bumped");
    let clear = || segment.word(event.0).fetch_and(!flags, Ordering::SeqCst);
    if !seeded(Bug::ClearAfterWake) {
        clear();
    }
    crate::memory::crash_point!("wait.cleared");
    if flags & SLEEPER != 0 {
        segment.wake(event.0, u32::MAX);
    }
    if flags & BELL != 0 {
        notify(segment, superblock::BELL);
    }
    if seeded(Bug::ClearAfterWake) {
        clear();
    }
}

/// Repeats a wake that a dead process had queued: it may have died anywhere in `notify`.
pub fn repeat(segment: &Segment, event: EventWord) {
    for word in [event, superblock::BELL] {
        segment.word(word.0).fetch_add(STEP, Ordering::SeqCst);
        segment.word(word.0).fetch_and(!FLAGS, Ordering::SeqCst);
        segment.wake(word.0, u32::MAX);
    }
}

/// Announces a sleeper on the word it observed; None if the word has changed since.
pub fn prepare(segment: &Segment, event: EventWord, observed: u64) -> Option<u64> {
    announce(segment, event, observed, SLEEPER)
}

/// As `prepare`, of a sleeper on the space's bell, whose word it observed before this one: it is rung
/// when this one changes.
pub fn prepare_bell(segment: &Segment, event: EventWord, observed: u64) -> Option<u64> {
    announce(segment, event, observed, BELL)
}

fn announce(segment: &Segment, event: EventWord, observed: u64, flag: u64) -> Option<u64> {
    let flagged = observed | flag;
    if observed != flagged {
        let word = segment.word(event.0);
        // pairs with `notify`
        word.compare_exchange(observed, flagged, Ordering::SeqCst, Ordering::SeqCst)
            .ok()?;
    }
    fence(Ordering::SeqCst); // store-then-look: who changes data without a bump looks at the flag
    Some(flagged)
}

/// Sleeps until the word differs from what `prepare` returned, at most `limit`.
pub fn sleep(segment: &Segment, event: EventWord, flagged: u64, limit: Duration) -> Woken {
    segment.sleep(event.0, flagged, limit)
}
