//! Changes of one element in place, and changes of many: these build the new ring aside.

use super::batch::Batch;
use super::grow::{Aside, purpose};
use super::read::{Places, Token, words};
use super::state::{
    BLOCK, CAPACITY, COUNT, FIRST, HEAD, LEFT, List, Ring, START, lock, root, sequence,
};
use crate::change::operation::{Operation, Purpose};
use crate::error::{Attempt, Result, corrupt};
use crate::memory::layout::{WORD, superblock};
use crate::object::{BLOCK_TAG, EVENT, TAG_MASK};
use crate::offset::Object;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::{Caller, deferred_free};
use crate::sync::Ordering;
use crate::value::{self, NewValue, Words, tidy};

/// Stores a value in place of the element with that index, which counts from the end if it is
/// negative; false: there is none.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record links the new value and lets the old one go.
pub fn set(caller: Caller, list: List, index: i64, value: &NewValue) -> Result<bool> {
    let (segment, object) = (&caller.space.segment, list.object);
    let mut left = false;
    let found = caller.run(|operation| {
        let new = value.word(operation)?;
        lock(operation, list)?;
        let ring = Ring::read(segment, object)?;
        let Some(index) = ring.index(index) else {
            return Ok(false);
        };
        let at = ring.word(index);
        let old = operation.read(at);
        operation.write(at, new);
        value.link(operation)?;
        left = value::discard(operation, old)?;
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        operation.commit();
        Ok(true)
    })?;
    if left {
        tidy(caller)?;
    }
    Ok(found)
}

/// Elements of a list as it will be, one after another: some of those that it has, or of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    is_new: bool,
    places: Places,
}

impl Piece {
    pub fn of(places: Places) -> Piece {
        Piece {
            is_new: false,
            places,
        }
    }

    pub fn old(first: u64, count: u64) -> Piece {
        Piece::of(Places {
            first,
            step: 1,
            count,
        })
    }

    pub fn new(first: u64, count: u64) -> Piece {
        Piece {
            is_new: true,
            ..Piece::old(first, count)
        }
    }

    /// The other way round.
    #[must_use]
    pub fn reversed(self) -> Piece {
        let Places { step, count, .. } = self.places;
        let places = Places {
            first: self.places.at(count.saturating_sub(1)),
            step: -step,
            count,
        };
        Piece { places, ..self }
    }
}

/// Makes a list what the pieces say, if it is still as it was: each new value stands in them once, each
/// old one at most once; those that do not are dropped. False, with nothing changed: it is not.
///
/// # Errors
/// `Full`, `NoMemory`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record exchanges the rings, takes the new values from the batch, and leaves us what is
/// dropped.
pub fn rebuild(
    caller: Caller,
    list: List,
    token: Token,
    batch: &Batch,
    pieces: &[Piece],
) -> Result<bool> {
    rebuild_with(caller, list, token, batch, pieces, |_| {})
}

/// As `rebuild`; the record has the entries of `also`, too.
///
/// # Errors
/// As `rebuild`.
///
/// # Crash
/// As `rebuild`.
pub(super) fn rebuild_with(
    caller: Caller,
    list: List,
    token: Token,
    batch: &Batch,
    pieces: &[Piece],
    also: impl Fn(&mut Operation),
) -> Result<bool> {
    let space = caller.space;
    let (segment, object) = (&space.segment, list.object);
    let Some((seen, old)) = words(segment, list, token)? else {
        return Ok(false);
    };
    let is_block = |word: &u64| *word != 0 && word & TAG_MASK == BLOCK_TAG;
    let matters = old.iter().any(is_block);
    let places = if matters { old.len() } else { 0 };
    let mut kept = room::list(places)?;
    kept.resize(places, false);
    let mut new = Vec::new();
    for piece in pieces {
        let from = if piece.is_new { &batch.values } else { &old };
        collect(&mut new, from, piece.places)?;
        if matters && !piece.is_new {
            for index in 0..piece.places.count {
                kept[piece.places.at(index) as usize] = true;
            }
        }
    }
    let dropped = || (old.iter().zip(&kept)).filter(|(word, kept)| !**kept && is_block(word));
    let keeps = !matters || kept.contains(&true);
    let gone = match dropped().count() as u64 {
        count if keeps && count > 1 => {
            let gone = Words::new(Purpose::Release, caller, count)?;
            for (index, (word, _)) in (0..).zip(dropped()) {
                segment
                    .word(gone.word(index))
                    .store(*word, Ordering::Relaxed);
            }
            Some(gone)
        }
        _ => None,
    };
    let only = dropped()
        .next()
        .map(|(word, _)| *word)
        .filter(|_| keeps && gone.is_none());
    let aside = match new.len() as u64 {
        0 => None,
        count => {
            let purpose = purpose(count, old.len() as u64);
            let aside = Aside::new(purpose, caller, count)?;
            Some(aside)
        }
    };
    if let Some(aside) = &aside {
        for (index, word) in (0..).zip(&new) {
            let at = segment.word(aside.words + index * WORD);
            at.store(*word, Ordering::Relaxed);
        }
    }
    let done = caller.run(|operation| {
        lock(operation, list)?;
        if operation.read(sequence(object)) != token.sequence {
            return Ok(false);
        }
        let ring = Ring::read(segment, object)?;
        if (ring.block, ring.count) != (seen.block, seen.count) {
            return Err(corrupt("a list changed, and its sequence did not").into());
        }
        if !keeps {
            leave(operation, ring);
        }
        if let Some(gone) = &gone
            && !seeded(Bug::GoneNotCounted)
        {
            operation.write(gone.count_word(), gone.room);
        }
        if let Some(word) = only {
            value::discard(operation, word)?;
        }
        match &aside {
            Some(aside) => aside.link(operation, object, ring, keeps),
            None => unlink(operation, object, ring)?,
        }
        operation.write(root(object) + START, 0);
        operation.write(root(object) + COUNT, new.len() as u64);
        also(operation);
        batch.transfer(operation);
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        operation.commit();
        crate::memory::crash_point!("list.rebuilt");
        Ok(true)
    })?;
    drop((aside, gone)); // what is dropped now goes, and the old ring
    if done {
        tidy(caller)?;
    }
    Ok(done)
}

/// Appends the words at these places.
fn collect(to: &mut Vec<u64>, from: &[u64], places: Places) -> Result<()> {
    let beyond = || corrupt("a place beyond a list's end");
    if places.step == 1 {
        let end = places.first.checked_add(places.count).ok_or_else(beyond)?;
        let run = from.get(places.first as usize..end as usize);
        return room::append(to, run.ok_or_else(beyond)?);
    }
    for index in 0..places.count {
        let word = from.get(places.at(index) as usize);
        room::push(to, *word.ok_or_else(beyond)?)?;
    }
    Ok(())
}

/// Writes the entries by which a ring, once it is nobody's, still names all elements.
pub(super) fn leave(operation: &mut Operation, ring: Ring) {
    if ring.block != 0 {
        operation.write(ring.words - HEAD + FIRST, ring.start);
        operation.write(ring.words - HEAD + LEFT, ring.count);
    }
}

/// Writes the entries that defer the freeing of a list's ring.
pub(super) fn unlink(operation: &mut Operation, object: Object, ring: Ring) -> Attempt<()> {
    if ring.block != 0 {
        operation.write(root(object) + BLOCK, 0);
        operation.write(root(object) + CAPACITY, 0);
        deferred_free::add(operation, ring.block)?;
    }
    Ok(())
}

/// Takes all elements out. Needs no room.
///
/// # Errors
/// `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record unlinks the ring and defers the freeing of it with what it names; the next sweep goes on
/// taking it apart.
pub fn clear(caller: Caller, list: List) -> Result<()> {
    let (segment, object) = (&caller.space.segment, list.object);
    caller.run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        lock(operation, list)?;
        let ring = Ring::read(segment, object)?;
        if ring.block == 0 {
            return Ok(());
        }
        leave(operation, ring);
        unlink(operation, object, ring)?;
        operation.write(root(object) + START, 0);
        operation.write(root(object) + COUNT, 0);
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        operation.commit();
        Ok(())
    })?;
    tidy(caller)
}
