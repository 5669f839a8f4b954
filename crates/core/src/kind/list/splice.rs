//! Changes inside a list: what is on the way to the nearer end moves, the rest stays where it is.

use super::batch::Batch;
use super::grow::{purpose, resize};
use super::read::{Places, Token};
use super::rebuild::{Piece, rebuild};
use super::state::{COUNT, List, Ring, START, is_too_large, lock, root, sequence};
use crate::change::operation::{Operation, Purpose};
use crate::change::transfer::Transfer;
use crate::error::{Error, Result, corrupt};
use crate::memory::layout::{WORD, kind, record};
use crate::memory::segment::Segment;
use crate::object::{BLOCK_TAG, EVENT, TAG_MASK};
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::{Ordering, fence};
use crate::value::{self, Words, tidy};

/// So many words are entries of the record.
const FEW: u64 = 40;
/// So many that are no run are entries of a record that chains; of more the list is built anew.
const MANY: u64 = 4096;

/// A change that is worked out on a state of the list.
struct Change {
    ring: Ring,
    /// The places that get other words, in the list as it will be: those of the batch, and those that
    /// move, which stand before them or behind.
    places: Places,
    /// What moves: from which place on, and how much.
    moved: (u64, u64),
    moved_first: bool,
    /// Where the list will start, and how long it will be.
    start: u64,
    count: u64,
    /// Blocks that the list will not name any more.
    gone: Vec<u64>,
}

impl Change {
    fn ring(&self) -> Ring {
        Ring {
            start: self.start,
            ..self.ring
        }
    }

    /// The words for its places.
    fn words(&self, segment: &Segment, batch: &Batch) -> Result<Vec<u64>> {
        let (from, count) = self.moved;
        let read = |place| segment.word(self.ring.word(place)).load(Ordering::Relaxed);
        let moved = (from..from + count).map(read);
        match self.moved_first {
            true => room::collect(moved.chain(batch.values.iter().copied())),
            false => room::collect(batch.values.iter().copied().chain(moved)),
        }
    }

    /// Writes the words for its places to memory of ours.
    fn fill(&self, segment: &Segment, batch: &Batch, to: u64) {
        let (from, count) = self.moved;
        let values = batch.count() * WORD;
        let (mut at, new) = match self.moved_first {
            true => (to, to + count * WORD),
            false => (to + values, to),
        };
        for (word, at) in batch.values.iter().zip((new..).step_by(WORD as usize)) {
            segment.word(at).store(*word, Ordering::Relaxed);
        }
        // What moves goes round once at most.
        let first = self.ring.turn(from);
        let run = count.min(self.ring.capacity - first);
        for (first, run) in [(first, run), (0, count - run)] {
            segment.copy_within(self.ring.words + first * WORD, at, run * WORD);
            at += run * WORD;
        }
    }

    /// Where its words are, if they are in a run.
    fn run(&self) -> Option<u64> {
        let ring = self.ring();
        let first = ring.start + self.places.first;
        let last = first + self.places.count.checked_sub(1)?;
        let is_run = self.places.step == 1 && (first < ring.capacity) == (last < ring.capacity);
        is_run.then(|| ring.word(self.places.first))
    }

    /// Whether its words are too many for entries, and are in no run.
    fn is_scattered(&self) -> bool {
        self.places.count > MANY && self.run().is_none()
    }
}

/// Exchanges elements for those of a batch, if the list is still as it was. False, with nothing
/// changed: it is not, or it has more room by now; look again.
///
/// Costs as much as there are of both, and from there to the nearer end.
///
/// # Errors
/// `Full`, `NoMemory`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record moves the words, by entries or by a copy of words that are in a block of ours, takes
/// the new values from the batch, and leaves us what is dropped.
pub fn splice(
    caller: Caller,
    list: List,
    token: Token,
    (first, old): (u64, u64),
    batch: &Batch,
) -> Result<bool> {
    let (space, new) = (caller.space, batch.count());
    let segment = &space.segment;
    let Some(ring) = ring_of(segment, list, token)? else {
        return Ok(false);
    };
    let after = ring.count.checked_sub(first + old);
    let after = after.ok_or_else(|| corrupt("a place beyond a list's end"))?;
    let count = first + new + after;
    if count == 0 || ring.block == 0 || (first == 0 && after == 0) {
        let pieces = [
            Piece::old(0, first),
            Piece::new(0, new),
            Piece::old(first + old, after),
        ];
        return rebuild(caller, list, token, batch, &pieces);
    }
    if count > ring.capacity {
        resize(caller, list, new - old)?;
        return Ok(false);
    }
    let read = |index| segment.word(ring.word(index)).load(Ordering::Relaxed);
    // Those before it move, and the list starts as much earlier or later; or those behind it.
    let change_of = |moved_first: bool| -> Result<Change> {
        let (start, place, from, moved) = match moved_first {
            true => {
                let start = ring.turn((ring.capacity + old - new) % ring.capacity);
                (start, 0, 0, first)
            }
            false => (ring.start, first, first + old, after),
        };
        let moved = if new == old { 0 } else { moved };
        Ok(Change {
            ring,
            places: Places {
                first: place,
                step: 1,
                count: moved + new,
            },
            moved: (from, moved),
            moved_first,
            start,
            count,
            gone: room::collect((first..first + old).map(read).filter(is_block))?,
        })
    };
    let is_nearer_first = new != old && first <= after;
    let mut change = change_of(is_nearer_first)?;
    if new != old && change.is_scattered() {
        // Beyond the turn of the ring: what is on the other side is in a run, if it is more.
        change = change_of(!is_nearer_first)?;
    }
    if !is_still(segment, list, token) {
        return Ok(false);
    }
    if change.is_scattered() {
        let pieces = [
            Piece::old(0, first),
            Piece::new(0, new),
            Piece::old(first + old, after),
        ];
        return rebuild(caller, list, token, batch, &pieces);
    }
    let done = make(caller, list, token, batch, &change)?;
    if done && is_too_large(ring.capacity, count) {
        // Where there is no room for a smaller ring, the large one stays.
        let _ = resize(caller, list, 0);
    }
    if done && !change.gone.is_empty() {
        tidy(caller)?;
    }
    Ok(done)
}

/// Exchanges the elements at these places for those of a batch, as many, if the list is still as it was;
/// false, with nothing changed: it is not.
///
/// # Errors
/// As `splice`.
///
/// # Crash
/// As `splice`.
pub fn replace(
    caller: Caller,
    list: List,
    token: Token,
    places: Places,
    batch: &Batch,
) -> Result<bool> {
    let segment = &caller.space.segment;
    let Some(ring) = ring_of(segment, list, token)? else {
        return Ok(false);
    };
    let read = |index| {
        let word = segment.word(ring.word(places.at(index)));
        word.load(Ordering::Relaxed)
    };
    let ends = [0, places.count.saturating_sub(1)].map(|index| places.at(index));
    if places.count != batch.count() || ends.iter().any(|&place| place >= ring.count) {
        return Err(corrupt("a place beyond a list's end"));
    }
    let change = Change {
        ring,
        places,
        moved: (0, 0),
        moved_first: false,
        start: ring.start,
        count: ring.count,
        gone: room::collect((0..places.count).map(read).filter(is_block))?,
    };
    if !is_still(segment, list, token) {
        return Ok(false);
    }
    let done = make(caller, list, token, batch, &change)?;
    if done && !change.gone.is_empty() {
        tidy(caller)?;
    }
    Ok(done)
}

fn is_block(word: &u64) -> bool {
    *word != 0 && word & TAG_MASK == BLOCK_TAG
}

fn is_still(segment: &Segment, list: List, token: Token) -> bool {
    fence(Ordering::Acquire); // pairs with apply's Release fence after odd
    let sequence = segment.word(sequence(list.object));
    sequence.load(Ordering::Relaxed) == token.sequence
}

/// The ring of that state of the list; None: it is another by now.
fn ring_of(segment: &Segment, list: List, token: Token) -> Result<Option<Ring>> {
    let ring = Ring::read(segment, list.object);
    match is_still(segment, list, token) {
        true => ring.map(Some),
        false => Ok(None),
    }
}

/// Where the words are until the record is clear.
enum Through<'a> {
    Entries(Vec<u64>),
    Chain(PendingBlock<'a>, Vec<u64>),
    Copy(PendingBlock<'a>, u64),
}

/// Makes a change by one record; false: the list is not as it was.
fn make(caller: Caller, list: List, token: Token, batch: &Batch, change: &Change) -> Result<bool> {
    let space = caller.space;
    let (segment, object) = (&space.segment, list.object);
    let count = change.places.count;
    let length = count * WORD;
    let purpose = purpose(change.count, change.ring.count);
    let allocate = |bytes| PendingBlock::allocate_for(purpose, caller, bytes, kind::PLAIN);
    let through = match change.run() {
        _ if count <= FEW => Through::Entries(change.words(segment, batch)?),
        Some(to) => {
            let own = allocate(length)?;
            change.fill(segment, batch, own.payload());
            Through::Copy(own, to)
        }
        None if count > record::MOST_CHAINED => {
            let what = format!(
                "a slice with a step replaces {count} elements of a list at once; replace at most {}",
                record::MOST_CHAINED
            );
            return Err(Error::Full(what));
        }
        None => Through::Chain(allocate(2 * length)?, change.words(segment, batch)?),
    };
    let gone = match change.gone.len() as u64 {
        0 | 1 => None,
        count => {
            let gone = Words::new(Purpose::Release, caller, count)?;
            for (index, word) in (0..).zip(&change.gone) {
                segment
                    .word(gone.word(index))
                    .store(*word, Ordering::Relaxed);
            }
            Some(gone)
        }
    };
    let write = |operation: &mut Operation, words: &[u64]| {
        for (index, word) in (0..).zip(words) {
            operation.write(change.ring().word(change.places.at(index)), *word);
        }
    };
    let done = caller.run(|operation| {
        if let Through::Chain(own, _) = &through {
            operation.chain(own.payload(), count, count)?;
        }
        lock(operation, list)?;
        if operation.read(sequence(object)) != token.sequence {
            return Ok(false);
        }
        let ring = Ring::read(segment, object)?;
        if (ring.block, ring.start, ring.count)
            != (change.ring.block, change.ring.start, change.ring.count)
        {
            return Err(corrupt("a list changed, and its sequence did not").into());
        }
        operation.write(root(object) + START, change.start);
        operation.write(root(object) + COUNT, change.count);
        if seeded(Bug::SplicedInTwo) {
            operation.commit();
        }
        match &through {
            Through::Copy(own, to) => operation.copy(Transfer {
                from: own.payload(),
                to: *to,
                length,
                count: 1,
                stride: 0,
            }),
            Through::Entries(words) | Through::Chain(_, words) => write(operation, words),
        }
        if let Some(gone) = &gone {
            operation.write(gone.count_word(), gone.room);
        } else if let Some(&word) = change.gone.first() {
            value::discard(operation, word)?;
        }
        batch.transfer(operation);
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        operation.commit();
        crate::memory::crash_point!("list.spliced");
        Ok(true)
    })?;
    drop((through, gone)); // what is dropped now goes
    Ok(done)
}
