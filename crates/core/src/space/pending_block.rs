//! A block between the heap and a link: filled with nothing held, recorded in our name.

use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Error, Result};
use crate::heap;
use crate::memory::layout::{self, FIRST_ROWS, SLOTS, WORD, slot};
use crate::memory::segment::Segment;
use crate::process::keep::{Keeper, ROWS};
use crate::process::participant::{LIVE, Participant, State};
use crate::process::pending::{PARTS, Pending, SPARE};
use crate::space::{Caller, Job, Space, deferred_free, pin};
use crate::sync::Ordering;
use std::time::Duration;

/// How long a thread waits while another adds rows.
const A_MOMENT: Duration = Duration::from_millis(1);

/// A row of this participant's table of pending blocks. Dropping it frees whatever block is there:
/// the new one if it was never linked, the old one if a record exchanged the two.
pub struct PendingBlock<'a> {
    space: &'a Space,
    participant: &'a Participant,
    row: u64,
    /// The block that was taken from the heap: known here, for its word in the table is anybody's
    /// to scribble on. 0 if a record gives us one.
    block: u64,
}

impl<'a> PendingBlock<'a> {
    /// A free row, for a block that a record is about to give us.
    ///
    /// # Errors
    /// `Full` when there is no room for more rows; `Interrupted` and `TimedOut` as the wait policy says.
    pub fn reserve(caller: Caller<'a, '_>) -> Result<PendingBlock<'a>> {
        let participant = caller.participant;
        loop {
            participant.require()?;
            if let Some(row) = participant.take_pending() {
                return Ok(PendingBlock {
                    space: caller.space,
                    participant,
                    row,
                    block: 0,
                });
            }
            add_rows(caller)?;
        }
    }

    /// Takes a block for `length` bytes of payload and writes its head.
    ///
    /// # Errors
    /// `Full` when there is no room.
    ///
    /// # Crash
    /// The drainer of this participant's slot frees it.
    pub fn allocate(caller: Caller<'a, '_>, length: u64, kind: u64) -> Result<PendingBlock<'a>> {
        PendingBlock::allocate_for(Purpose::Store, caller, length, kind)
    }

    /// As `allocate`, for something else than to store it.
    ///
    /// # Errors
    /// As `allocate`.
    pub fn allocate_for(
        purpose: Purpose,
        caller: Caller<'a, '_>,
        length: u64,
        kind: u64,
    ) -> Result<PendingBlock<'a>> {
        let mut pending = PendingBlock::reserve(caller)?;
        let owner = pending.word();
        pending.block = caller.run(|operation| {
            operation.takes_for(purpose);
            heap::allocate(operation, length, owner)
        })?;
        heap::head(&caller.space.segment, pending.block, length, kind);
        Ok(pending)
    }

    /// As `allocate`, a block of so many whole units, aligned to one.
    ///
    /// # Errors
    /// As `allocate`.
    pub fn allocate_units(
        purpose: Purpose,
        caller: Caller<'a, '_>,
        units: u64,
        kind: u64,
    ) -> Result<PendingBlock<'a>> {
        let mut pending = PendingBlock::reserve(caller)?;
        let owner = pending.word();
        pending.block = caller.run(|operation| {
            operation.takes_for(purpose);
            heap::allocate_units(operation, units, owner)
        })?;
        let length = units * layout::UNIT - layout::block::LARGE;
        heap::head(&caller.space.segment, pending.block, length, kind);
        Ok(pending)
    }

    /// Its row, for `from_row`: the block stays ours.
    pub fn into_row(self) -> u64 {
        let row = self.row;
        std::mem::forget(self);
        row
    }

    /// What `into_row` gave up, of this participant's.
    pub fn from_row(space: &'a Space, participant: &'a Participant, row: u64) -> PendingBlock<'a> {
        PendingBlock {
            space,
            participant,
            row,
            block: 0,
        }
    }

    /// The word that owns the block.
    pub fn word(&self) -> u64 {
        self.participant.pending_word(self.row)
    }

    /// The block taken from the heap, also after it was transferred; or what a record gave us, as
    /// data of a peer.
    pub fn block(&self) -> u64 {
        match self.block {
            0 => self.space.segment.word(self.word()).load(Ordering::Relaxed),
            block => block,
        }
    }

    /// Children that are forked from now on read the block, too, until their views are gone. Only
    /// large blocks can be kept so. False: it is not ours, in a child that did not inherit it.
    pub fn keep(&self, keeper: Keeper) -> bool {
        let me = self.reservation();
        let holder = me.unwrap_or(self.participant);
        let has_it = (me.is_some() || holder.is_ours()) && self.row < ROWS as u64;
        if has_it {
            holder.kept_blocks.keep(self.row, self.block(), keeper);
        }
        has_it
    }

    /// In a forked child that reads the block: the child.
    fn reservation(&self) -> Option<&Participant> {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let me = unsafe { self.space.registered().as_ref() }?;
        let inherits = !self.participant.is_ours() && me.kept_blocks.is_inherited(self.row);
        inherits.then_some(me)
    }

    /// Whether a child may read the block: it is no more to be an item, or to be written to.
    pub fn is_lent(&self) -> bool {
        self.participant.kept_blocks.is_lent(self.row)
    }

    pub fn payload(&self) -> u64 {
        heap::payload(&self.space.segment, self.block())
    }

    /// Writes the entry that ends our ownership: `instead` is what we own after the commit,
    /// 0 or a block that the same record unlinks.
    pub fn transfer(&self, operation: &mut Operation, instead: u64) {
        // A child's operation never names its parent's rows, whatever way it came here.
        assert!(std::ptr::eq(self.participant, operation.participant));
        operation.write(self.word(), instead);
    }
}

impl Drop for PendingBlock<'_> {
    fn drop(&mut self) {
        #[cfg(loom)]
        if crate::mortal::is_dying() {
            return;
        }
        if !self.participant.is_ours() {
            // A forked child: the block is its parent's, and the child's views keep it no more.
            if let Some(me) = self.reservation() {
                let row = self.row;
                me.kept_blocks.end(row);
                me.kept_blocks.disinherit(row);
                let segment = &self.space.segment;
                segment.word(me.lent(row)).store(0, Ordering::Release);
                let bits = segment.word(me.lent_bits());
                bits.fetch_and(!(1 << row), Ordering::Release);
                me.give_pending(row);
                pin::look(self.space, me);
            }
            return;
        }
        self.participant.kept_blocks.end(self.row);
        let lent = self.participant.kept_blocks.was_lent(self.row);
        let word = self.space.segment.word(self.word());
        if word.load(Ordering::Relaxed) == 0 {
            self.participant.give_pending(self.row);
            return;
        }
        let numbers = [self.row, lent.into(), 0, 0, 0, 0];
        self.space.now_or_later(self.participant, &DISPOSE, numbers);
    }
}

/// How many blocks processes have that are in no object: each is being filled, or was just taken. Of the
/// first rows.
pub fn count(segment: &Segment) -> usize {
    let is_set = |word| segment.word(word).load(Ordering::Relaxed) != 0;
    let rows = |slot| {
        let first = layout::slot_record(slot) + slot::PENDING;
        (0..slot::PENDING_ROWS).filter(move |row| is_set(first + row * WORD))
    };
    let live = (0..SLOTS).filter(|&slot| State::read(segment, slot).state == LIVE);
    live.flat_map(rows).count()
}

/// Adds a segment of rows, or waits a moment while another thread does.
///
/// # Crash
/// The block is pending, in the spare row, until the record that links it.
fn add_rows(caller: Caller) -> Result<()> {
    let Caller {
        space, participant, ..
    } = caller;
    struct Turn<'a>(&'a Pending);
    impl Drop for Turn<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let owner = participant.pending_word(SPARE);
    let Some(part) = participant.pending.begin() else {
        let word = space.segment.word(owner);
        return (caller.wait)(&mut |limit| {
            let seen = word.load(Ordering::Relaxed);
            let woken = space.segment.sleep(owner, seen, limit.min(A_MOMENT));
            Ok(woken.into())
        });
    };
    let _turn = Turn(&participant.pending);
    if part == PARTS {
        let most = (FIRST_ROWS << PARTS) - FIRST_ROWS - 1;
        let what = format!("this process writes {most} values at once; write fewer");
        return Err(Error::Full(what));
    }
    // What an earlier attempt left there goes first: it could not be put off, as we are at it now.
    let dispose = |operation: &mut Operation| deferred_free::dispose(operation, owner);
    caller.run(dispose)?;
    let length = (FIRST_ROWS << part) * WORD;
    let block = caller.run(|operation| {
        operation.takes_for(Purpose::Release);
        heap::allocate(operation, length, owner)
    })?;
    heap::head(&space.segment, block, length, layout::kind::ROWS);
    let payload = heap::payload(&space.segment, block);
    space.segment.zero(payload, length);
    let head = layout::slot_record(participant.me.slot) + slot::MORE_PENDING;
    // No lock is needed: the words are our own.
    caller.run(|operation| {
        operation.write(head + part as u64 * WORD, payload);
        operation.write(owner, 0);
        operation.commit();
        Ok(())
    })?;
    participant.pending.add(part, payload);
    Ok(())
}

/// As `deferred_free::dispose`, of a block that others may read by now: it goes when nobody does.
/// True: look at the list.
///
/// # Errors
/// `Stop` as the heap and the lists have it; `Corrupt`.
fn dispose_lent(operation: &mut Operation, owner: u64) -> Attempt<bool> {
    let block = operation.read(owner);
    if block == 0 || !heap::is_large(operation.segment, block) {
        return deferred_free::dispose(operation, owner);
    }
    let kind = deferred_free::kind_of(operation.segment, block);
    if layout::kind::has_contents(kind) {
        return deferred_free::dispose(operation, owner);
    }
    pin::retire(operation, block)?;
    operation.write(owner, 0);
    operation.commit();
    Ok(true)
}

/// Frees the block of a row and gives the row back. If that fails the block stays ours until this
/// process ends.
static DISPOSE: Job = Job {
    run: |caller, &[row, lent, ..]| {
        let owner = caller.participant.pending_word(row);
        let deferred = caller.run(|operation| match lent {
            0 => deferred_free::dispose(operation, owner),
            _ => dispose_lent(operation, owner),
        })?;
        caller.participant.give_pending(row);
        if deferred {
            let swept = deferred_free::run(caller).and_then(|()| pin::sweep(caller));
            if swept.is_err() {
                caller.space.sweep_later(caller.participant);
            }
        }
        Ok(())
    },
    inherit: |_, _| {},
};
