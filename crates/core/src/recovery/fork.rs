//! Forks: a child gets a slot and memberships of its own before it exists.
//!
//! Before the fork the parent registers a slot for the child and copies its memberships there,
//! in the child's name; the page that keeps the slot alive passes to the child alone. So the
//! parent may drop an object at once, and a child that dies unseen is reaped like anybody.
//!
//! So it is with what views read: blocks pinned, and blocks in hand that were items. The child's
//! rows name them before it exists, at the same row numbers, and it lets go of them by itself.
//!
//! A fork never waits. Where a lock that somebody was stopped in is in the way of the copy, the
//! child makes it itself, when it first uses an object; its parent gives none back before that.

use crate::change::recover;
use crate::error::{Error, Result};
use crate::memory::layout::SLOTS;
use crate::memory::segment::Segment;
use crate::object::directory;
use crate::os;
use crate::process::keep::Kept;
use crate::process::participant::{DRAINING, LIVE, Participant, State};
use crate::space::{AT_ONCE, Caller, Job, Space, deferred_free, pin, within};
use crate::sync::{Ordering, fence};
use std::ptr::NonNull;

/// At so many others a fork looks, whether they are dead.
const LOOKS: usize = 4;

/// A child's place in a space, made before the fork, and its parent's.
pub struct ChildReservation {
    space: NonNull<Space>,
    participant: Participant,
    parent: *const Participant,
    /// What the membership cache had counted when it was copied.
    changes: u64,
    /// Whether it is still to be copied, by the child.
    borrows: bool,
}

// SAFETY: the parent's place is a leaked box, and shared like any participant; so is the space.
unsafe impl Send for ChildReservation {}

/// In the parent, before the fork. What other threads take or give back between this and the
/// fork itself, the child makes up for.
///
/// # Errors
/// `Crowded`, `Full`, `System`, `TimedOut`: then fork without a reservation; the child registers when
/// it must.
pub fn before(space: &Space) -> Result<Option<ChildReservation>> {
    // Not registered: behind somebody's back we are a child ourselves, and hold nothing yet.
    if space.registered().is_null() {
        return Ok(None);
    }
    let parent = space.registered();
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    let me = unsafe { &*parent };
    space.is_lending(me);
    tidy(space, me);
    let wait = &within(AT_ONCE);
    let participant = space.register(true, wait)?;
    let changes = space.membership_cache.changes();
    let mut reservation = ChildReservation {
        space: NonNull::from(space),
        participant,
        parent,
        changes,
        borrows: false,
    };
    lend(&space.segment, me, &reservation.participant);
    match directory::copy_members(Caller::new(space, &reservation.participant, wait)) {
        Ok(_) => {}
        Err(Error::Interrupted | Error::TimedOut) => {
            space.lend(me, &reservation.participant);
            reservation.borrows = true;
        }
        Err(error) => {
            reservation.participant.release_anchor(); // reaped and drained by the next sweep
            return Err(error);
        }
    }
    Ok(Some(reservation))
}

/// Gives back some of what the dead held: who only starts processes would else fill the space with
/// them. So many are looked at, however many there are; a fork takes no longer with others.
fn tidy(space: &Space, participant: &Participant) {
    let (segment, wait) = (&space.segment, &within(AT_ONCE));
    let caller = Caller::new(space, participant, wait);
    let from = space.looked.load(Ordering::Relaxed);
    if let Ok(next) = recover::reap_some(segment, from, LOOKS) {
        space.looked.store(next, Ordering::Relaxed);
    }
    let is_draining = |&slot: &u64| State::read(segment, slot).state == DRAINING;
    let mut drained = false;
    for slot in (0..SLOTS).filter(is_draining).take(LOOKS) {
        drained |= (space.hooks.drain)(caller, slot).is_ok();
    }
    let now = os::boot_clock().as_secs();
    let is_time = space.tidied.swap(now, Ordering::Relaxed) != now;
    if drained || is_time {
        let _ = deferred_free::run_some(caller).and_then(|_| pin::sweep(caller));
    }
    if is_time {
        let _ = directory::expire(caller);
    }
}

/// In the parent, after the fork: the child alone keeps its slot alive now, if there is one. The space
/// is still open here.
pub fn after_in_parent(reservation: ChildReservation) {
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    let parent = unsafe { &*reservation.parent };
    // What came into our hands since `before` the child reads, too.
    for kept in parent.kept_blocks.carried() {
        parent.kept_blocks.lend(kept.row);
    }
    // SAFETY: the caller's promise.
    let space = unsafe { reservation.space.as_ref() };
    reservation.participant.hand_over(&space.segment);
}

/// In the child.
///
/// # Errors
/// `Full`, `System`: what other threads of the parent took just before the fork is then lost.
pub fn after_in_child(space: &Space, mut reservation: ChildReservation) -> Result<()> {
    let settled = reservation.participant.settle(&space.segment);
    // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
    let parent = unsafe { &*reservation.parent };
    parent.disown();
    space.is_owing.store(false, Ordering::Relaxed); // our parent's, if it was
    if !settled {
        return Ok(()); // nobody yet, as after a fork behind our back
    }
    let left = inherit(&space.segment, parent, &reservation.participant);
    let (changes, borrows) = (reservation.changes, reservation.borrows);
    let participant = space.install(Box::new(reservation.participant));
    if left {
        pin::look(space, participant);
    }
    if !borrows && space.membership_cache.changes() == changes {
        return Ok(());
    }
    settle(space, participant)
}

/// Makes our table say what we hold: now, if that takes no waiting, else when an object is first used.
fn settle(space: &Space, participant: &Participant) -> Result<()> {
    space.is_owing.store(true, Ordering::Relaxed);
    let done = (SETTLE.run)(Caller::new(space, participant, &within(AT_ONCE)), &[0; 6]);
    if matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
        space.defer(participant, &SETTLE, [0; 6]);
        return Ok(());
    }
    done
}

/// Copies what the parent did not, or what changed before the fork.
static SETTLE: Job = Job {
    run: |caller, _| {
        let done = directory::settle_members(caller);
        if !matches!(done, Err(Error::Interrupted | Error::TimedOut)) {
            caller.space.settled(caller.participant);
        }
        done
    },
    inherit: |_, _| {}, // our parent was such a child itself; what is ours is copied like any
};

/// A row of a child's, of a block that its parent has pinned or in hand, and the parent's own.
struct Row {
    kept: Kept,
    ours: u64,
    theirs: u64,
    is_pin: bool,
}

/// What a child of this thread's inherits of what its parent's views keep.
fn rows(parent: &Participant, child: &Participant) -> Vec<Row> {
    let pins = parent.kept_pins.carried().map(|kept| Row {
        kept,
        ours: child.pin(kept.row),
        theirs: parent.pin(kept.row),
        is_pin: true,
    });
    let blocks = parent.kept_blocks.carried().map(|kept| Row {
        kept,
        ours: child.lent(kept.row),
        // What is itself lent is in another table.
        theirs: match parent.kept_blocks.is_inherited(kept.row) {
            true => parent.lent(kept.row),
            false => parent.pending_word(kept.row),
        },
        is_pin: false,
    });
    pins.chain(blocks).collect()
}

/// Before the fork: the child's rows name what the parent's do.
///
/// # Crash
/// The drainer of the child's slot clears them.
pub fn lend(segment: &Segment, parent: &Participant, child: &Participant) {
    let rows = rows(parent, child);
    for row in &rows {
        write(segment, parent, child, row);
    }
    if !rows.is_empty() {
        pin::moved(segment);
    }
}

fn write(segment: &Segment, parent: &Participant, child: &Participant, row: &Row) {
    if !row.is_pin {
        parent.kept_blocks.lend(row.kept.row);
        let bits = segment.word(child.lent_bits());
        bits.fetch_or(1 << row.kept.row, Ordering::Release);
    }
    let ours = segment.word(row.ours);
    ours.store(row.kept.block, Ordering::Release);
}

/// In the child: its rows name just what its views read. What changed between `lend` and the fork
/// it makes up for, as long as its parent still has it. True: some were cleared.
fn inherit(segment: &Segment, parent: &Participant, child: &Participant) -> bool {
    let mut late = false;
    let mut cleared = false;
    let rows = rows(parent, child);
    let named = |word: u64| segment.word(word).load(Ordering::Relaxed);
    let wanted = |at: u64| rows.iter().any(|row| row.ours == at);
    for at in (0..64).flat_map(|row| [child.pin(row), child.lent(row)]) {
        if named(at) != 0 && !wanted(at) {
            segment.word(at).store(0, Ordering::Release);
            cleared = true;
        }
    }
    let missing = |row: &&Row| named(row.ours) != row.kept.block;
    let missed: Vec<&Row> = rows.iter().filter(missing).collect();
    for row in &missed {
        write(segment, parent, child, row);
        late = true;
    }
    if late {
        pin::moved(segment);
        fence(Ordering::SeqCst); // pin, then look: pairs with `sweep`'s fence
    }
    for row in &rows {
        let lost = missed.iter().any(|missed| missed.ours == row.ours) && {
            let now = State::read(segment, parent.me.slot);
            let alive = (now.state, now.generation) == (LIVE, parent.me.generation);
            !alive || named(row.theirs) != row.kept.block
        };
        let (pin, block) = match row.is_pin {
            true => (Some(row.kept), None),
            false => (None, Some(row.kept)),
        };
        if lost || !child.take_inherited(pin, block) {
            segment.word(row.ours).store(0, Ordering::Release);
            cleared = true;
        }
    }
    cleared
}

/// In a child forked behind our back (from C): memberships of what it inherited, and the blocks that
/// its views read, as far as those are still there. It waits no more than one of `os.fork()`.
///
/// # Errors
/// `Full`, `System`.
pub fn adopt(space: &Space, participant: &Participant) -> Result<()> {
    if let Some(parent) = space.parent_of_fork()
        && inherit(&space.segment, parent, participant)
    {
        pin::look(space, participant);
    }
    settle(space, participant)
}
