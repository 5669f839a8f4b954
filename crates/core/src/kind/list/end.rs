//! Both ends: what is put there and taken from there, one or many, costs the same however long the
//! list is.

use super::batch::Batch;
use super::grow::resize;
use super::most;
use super::read::{Token, look};
use super::rebuild::{Piece, rebuild};
use super::state::{COUNT, List, Ring, START, is_too_large, lock, root, sequence};
use crate::change::operation::Purpose;
use crate::error::Result;
use crate::heap;
use crate::memory::layout::WORD;
use crate::object::{EVENT, linked};
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, pin};
use crate::sync::Ordering;
use crate::value::{self, Form, NewValue, SHORT_MOST, Take, Taken, Words, tidy};

/// An end of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    First,
    Last,
}

impl End {
    pub(super) fn opposite(self) -> End {
        match self {
            End::First => End::Last,
            End::Last => End::First,
        }
    }

    /// Where a new word is, and where the list then starts. There is room.
    pub(super) fn next(self, ring: Ring) -> (u64, u64) {
        match self {
            End::First => {
                let start = ring.turn(ring.capacity - 1);
                (ring.words + start * WORD, start)
            }
            End::Last => (ring.word(ring.count), ring.start),
        }
    }

    /// Where the word at this end is. There is one.
    pub(super) fn last(self, ring: Ring) -> u64 {
        match self {
            End::First => ring.word(0),
            End::Last => ring.word(ring.count - 1),
        }
    }

    /// Where the list starts without the word at this end.
    pub(super) fn without(self, ring: Ring) -> u64 {
        match self {
            End::First => ring.turn(1),
            End::Last => ring.start,
        }
    }
}

/// What an attempt came to.
enum Done {
    /// Whether something is left to tidy.
    Yes(bool),
    No,
    Grow,
    /// So many elements go, and some of them name blocks.
    Drop(u64),
}

/// Puts an element at an end; if there are as many as there may be, the one at the other end goes.
/// With a token, only if nothing changed since: false says that something did.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// The word is written where it means nothing; one record makes it count.
pub fn push(
    caller: Caller,
    list: List,
    end: End,
    value: &NewValue,
    when: Option<Token>,
) -> Result<bool> {
    let (segment, object) = (&caller.space.segment, list.object);
    let early = seeded(Bug::MostBeforeLock).then(|| most(segment, object));
    loop {
        let done = caller.run(|operation| {
            let new = value.word(operation)?;
            lock(operation, list)?;
            if when.is_some_and(|when| operation.read(sequence(object)) != when.sequence) {
                return Ok(Done::No);
            }
            let most = early.unwrap_or_else(|| most(segment, object));
            let most = most.unwrap_or(u64::MAX);
            if most == 0 {
                return Ok(Done::Yes(false));
            }
            let ring = Ring::read(segment, object)?;
            if ring.count >= ring.capacity {
                return Ok(Done::Grow);
            }
            let (at, mut start) = end.next(ring);
            if !seeded(Bug::CountedFirst) {
                segment.word(at).store(new, Ordering::Relaxed);
            }
            value.link(operation)?;
            let mut left = false;
            if ring.count >= most {
                let other = end.opposite();
                let old = segment.word(other.last(ring)).load(Ordering::Relaxed);
                left = value::discard(operation, old)?;
                start = other.without(Ring { start, ..ring });
            } else {
                operation.write(root(object) + COUNT, ring.count + 1);
            }
            operation.write(root(object) + START, start);
            operation.sequence(sequence(object));
            operation.queue_quiet_wake(object + EVENT);
            operation.commit();
            if seeded(Bug::CountedFirst) {
                segment.word(at).store(new, Ordering::Relaxed);
            }
            crate::memory::crash_point!("list.pushed");
            Ok(Done::Yes(left))
        })?;
        match done {
            Done::Yes(left) => {
                if left {
                    tidy(caller)?;
                }
                return Ok(true);
            }
            Done::No => return Ok(false),
            // That is a change of the list, too.
            Done::Grow | Done::Drop(_) => resize(caller, list, 1)?,
        }
    }
}

/// Takes the element at an end; None: there is none.
///
/// # Errors
/// `Full`, `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record unlinks the value and makes it ours.
pub fn pop<'a>(caller: Caller<'a, '_>, list: List, end: End) -> Result<Option<Taken<'a>>> {
    match pop_if(caller, list, end, |_| true)? {
        Take::Taken(taken) => Ok(Some(taken)),
        _ => Ok(None),
    }
}

/// Drops the element at an end if nothing changed since; false: something did.
///
/// # Errors
/// `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record unlinks the value and lets it go.
pub fn drop_end(caller: Caller, list: List, end: End, token: Token) -> Result<bool> {
    let (segment, object) = (&caller.space.segment, list.object);
    let dropped = caller.run(|operation| {
        lock(operation, list)?;
        let ring = Ring::read(segment, object)?;
        if ring.count == 0 || operation.read(sequence(object)) != token.sequence {
            return Ok(None);
        }
        let word = segment.word(end.last(ring)).load(Ordering::Relaxed);
        operation.write(root(object) + START, end.without(ring));
        operation.write(root(object) + COUNT, ring.count - 1);
        let left = value::discard(operation, word)?;
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        operation.commit();
        Ok(Some((left, is_too_large(ring.capacity, ring.count - 1))))
    })?;
    let Some((left, is_too_large)) = dropped else {
        return Ok(false);
    };
    if is_too_large {
        // As in `pop`.
        let _ = resize(caller, list, 0);
    }
    if left {
        tidy(caller)?;
    }
    Ok(true)
}

/// As `pop`, if `may` says so of the value's form.
///
/// # Errors
/// As `pop`.
///
/// # Crash
/// As `pop`.
pub fn pop_if<'a>(
    caller: Caller<'a, '_>,
    list: List,
    end: End,
    may: impl Fn(Form) -> bool,
) -> Result<Take<Taken<'a>>> {
    let (segment, object) = (&caller.space.segment, list.object);
    let spare = PendingBlock::reserve(caller)?;
    let mut room = Vec::with_capacity(SHORT_MOST as usize);
    let mut is_retired = false;
    let taken = caller.run(|operation| {
        lock(operation, list)?;
        let ring = Ring::read(segment, object)?;
        if ring.count == 0 {
            return Ok(Take::Nothing);
        }
        let word = segment.word(end.last(ring)).load(Ordering::Relaxed);
        if !may(value::form_of(segment, word)?) {
            return Ok(Take::Left);
        }
        operation.write(root(object) + START, end.without(ring));
        operation.write(root(object) + COUNT, ring.count - 1);
        operation.sequence(sequence(object));
        operation.queue_quiet_wake(object + EVENT);
        is_retired = linked(segment, word)?.is_some_and(|block| heap::is_large(segment, block));
        let taken = value::take(
            caller.space,
            caller.participant,
            operation,
            word,
            &spare,
            &mut room,
        )?;
        operation.commit();
        let is_too_large = is_too_large(ring.capacity, ring.count - 1);
        Ok(Take::Taken((taken, is_too_large)))
    })?;
    let (taken, is_too_large) = match taken {
        Take::Taken(taken) => taken,
        Take::Nothing => return Ok(Take::Nothing),
        Take::Left => return Ok(Take::Left),
    };
    let taken = taken.ours(spare);
    if is_too_large {
        // Where there is no room for a smaller ring, the large one stays.
        let _ = resize(caller, list, 0);
    }
    if let Taken::Bytes(..) = taken
        && is_retired
    {
        pin::sweep(caller)?; // no pin was left, whose end would do so
    }
    Ok(Take::Taken(taken))
}

/// Puts many elements at an end, the first of them first: at `End::First` they come to stand the
/// other way round. There are no more of them than `bounded` says that there may be; false, with
/// nothing changed: by now that is another number.
///
/// # Errors
/// As `push`.
///
/// # Crash
/// As `push`; the same record takes them from the batch, and leaves us what goes at the other end.
pub fn extend(
    caller: Caller,
    list: List,
    end: End,
    batch: &Batch,
    bounded: Option<u64>,
) -> Result<bool> {
    let space = caller.space;
    let (segment, object) = (&space.segment, list.object);
    let new = batch.values.len() as u64;
    if new == 0 {
        return Ok(true);
    }
    let is_bounded_so = || most(segment, object) == bounded;
    let most = bounded.unwrap_or(u64::MAX);
    let mut gone: Option<Words> = None;
    loop {
        let done = caller.run(|operation| {
            lock(operation, list)?;
            if !is_bounded_so() {
                return Ok(None);
            }
            let mut ring = Ring::read(segment, object)?;
            let drops = (ring.count + new).saturating_sub(most);
            let goes = |index| match end {
                End::First => ring.word(ring.count - 1 - index),
                End::Last => ring.word(index),
            };
            if drops > ring.count {
                return Ok(Some(Done::No)); // some of the new ones go as well: that is another operation
            }
            let mut blocks = 0;
            for index in 0..drops {
                let word = segment.word(goes(index)).load(Ordering::Relaxed);
                if linked(segment, word)?.is_none() {
                    continue;
                }
                let Some(gone) = gone.as_ref().filter(|gone| blocks < gone.room) else {
                    return Ok(Some(Done::Drop(drops))); // into a block of ours, which there is not yet
                };
                segment
                    .word(gone.word(blocks))
                    .store(word, Ordering::Relaxed);
                blocks += 1;
            }
            let start = match end {
                End::First => None,
                End::Last => Some(ring.turn(drops)),
            };
            if ring.capacity - ring.count < new {
                return Ok(Some(Done::Grow));
            }
            for &word in &batch.values {
                let (at, start) = end.next(ring);
                segment.word(at).store(word, Ordering::Relaxed);
                ring = Ring {
                    start,
                    count: ring.count + 1,
                    ..ring
                };
            }
            operation.write(root(object) + START, start.unwrap_or(ring.start));
            operation.write(root(object) + COUNT, ring.count - drops);
            if let Some(gone) = &gone
                && blocks != 0
            {
                operation.write(gone.count_word(), blocks);
            }
            batch.transfer(operation);
            operation.sequence(sequence(object));
            operation.queue_quiet_wake(object + EVENT);
            operation.commit();
            Ok(Some(Done::Yes(blocks != 0)))
        })?;
        match done {
            None => return Ok(false),
            Some(Done::Yes(left)) => {
                drop(gone); // what is dropped now goes
                if left {
                    tidy(caller)?;
                }
                return Ok(true);
            }
            Some(Done::Grow) => resize(caller, list, new)?,
            Some(Done::Drop(count)) => {
                let purpose = Purpose::Release;
                gone = Some(Words::new(purpose, caller, count)?);
            }
            Some(Done::No) => {
                let token = look(caller, list)?;
                if !is_bounded_so() {
                    return Ok(false); // if it changes from here on, so does the sequence
                }
                let kept = token.count.min(most.saturating_sub(new));
                let first = token.count.saturating_sub(kept);
                let pieces = match end {
                    End::Last => [Piece::old(first, kept), Piece::new(0, new)],
                    End::First => [Piece::new(0, new).reversed(), Piece::old(0, kept)],
                };
                if rebuild(caller, list, token, batch, &pieces)? {
                    return Ok(true);
                }
            }
        }
    }
}

/// Turns the elements that many steps to the right.
///
/// # Errors
/// As `push`.
///
/// # Crash
/// What goes round is first written beyond the end to which it goes, where it means nothing; one
/// record moves the start. Or as `rebuild`.
pub fn rotate(caller: Caller, list: List, steps: i64) -> Result<()> {
    let (segment, object) = (&caller.space.segment, list.object);
    loop {
        let done = caller.run(|operation| {
            lock(operation, list)?;
            let ring = Ring::read(segment, object)?;
            if ring.count < 2 {
                return Ok(true);
            }
            let right = steps.rem_euclid(ring.count as i64) as u64;
            let (by, end) = if right <= ring.count / 2 {
                (right, End::First)
            } else {
                (ring.count - right, End::Last)
            };
            if by > ring.capacity - ring.count {
                return Ok(false);
            }
            let mut turned = ring;
            for index in 0..by {
                let from = match end {
                    End::First => ring.word(ring.count - 1 - index),
                    End::Last => ring.word(index),
                };
                let word = segment.word(from).load(Ordering::Relaxed);
                let (at, start) = end.next(turned);
                segment.word(at).store(word, Ordering::Relaxed);
                turned = Ring {
                    start,
                    count: turned.count + 1,
                    ..turned
                };
            }
            let start = match end {
                End::First => turned.start,
                End::Last => ring.turn(by),
            };
            if by != 0 {
                operation.write(root(object) + START, start);
                operation.sequence(sequence(object));
                operation.queue_quiet_wake(object + EVENT);
                operation.commit();
            }
            Ok(true)
        })?;
        if done {
            return Ok(());
        }
        let token = look(caller, list)?;
        if token.count == 0 {
            return Ok(());
        }
        let right = steps.rem_euclid(token.count as i64) as u64;
        let left = token.count - right;
        let batch = Batch::new(0);
        let pieces = [Piece::old(left, right), Piece::old(0, left)];
        if rebuild(caller, list, token, &batch, &pieces)? {
            return Ok(());
        }
    }
}
