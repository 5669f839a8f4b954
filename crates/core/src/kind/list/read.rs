//! Reading elements, one or many, without a lock.

use super::state::{List, Ring, lock, sequence};
use crate::error::{Result, Stop, corrupt};
use crate::memory::segment::Segment;
use crate::object::Stored;
use crate::object::sequence::{Read, read_under};
use crate::room;
use crate::space::Caller;
use crate::space::reading::Reading;
use crate::sync::{Ordering, fence, relax};
use crate::value::{self, Found};

/// Failed attempts to read many beside writers before the list is locked.
const MAX_ATTEMPTS: u32 = 20;

/// Which state of a list was read, and how many elements it had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    pub sequence: u64,
    pub count: u64,
}

/// Which elements: of a list that is long enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    pub first: u64,
    pub step: i64,
    pub count: u64,
}

impl Places {
    /// The place of one of them.
    pub fn at(self, index: u64) -> u64 {
        self.first
            .wrapping_add((index as i64).wrapping_mul(self.step) as u64)
    }
}

/// Runs `read` on the ring under the list's sequence.
fn under<T>(
    caller: Caller,
    list: List,
    mut read: impl FnMut(Ring, Token, &dyn Fn() -> bool) -> Result<Read<T>>,
) -> Result<T> {
    let segment = &caller.space.segment;
    let word = segment.word(sequence(list.object));
    let places = (list.object.lock(), sequence(list.object));
    read_under(
        caller,
        places,
        |operation| lock(operation, list),
        || {
            let before = word.load(Ordering::Acquire);
            let still = || word.load(Ordering::SeqCst) == before;
            let ring = Ring::read(segment, list.object)?;
            let token = Token {
                sequence: before,
                count: ring.count,
            };
            read(ring, token, &still)
        },
    )
}

/// How many elements there are, and which state of the list that is.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`.
pub fn look(caller: Caller, list: List) -> Result<Token> {
    under(caller, list, |_, token, _| Ok(Read::Copied(token)))
}

/// The element with that index, which counts from the end if it is negative; None: there is none. A
/// short one is copied into `buffer`, a large one pinned.
///
/// # Errors
/// As `look`.
pub fn get<'a>(
    caller: Caller<'a, '_>,
    list: List,
    index: i64,
    buffer: &mut Vec<u8>,
) -> Result<(Option<Found<'a>>, Token)> {
    let segment = &caller.space.segment;
    under(caller, list, |ring, token, still| {
        let Some(index) = ring.index(index) else {
            return Ok(Read::Copied((None, token)));
        };
        let word = segment.word(ring.word(index)).load(Ordering::Relaxed);
        Ok(
            match value::find(caller.space, caller.participant, word, still, buffer)? {
                Some(Found::Pinned(pinned)) => Read::Pinned((Some(Found::Pinned(pinned)), token)),
                Some(found) => Read::Copied((Some(found), token)),
                None => Read::Lost,
            },
        )
    })
}

/// Copies the elements that `choose` wants of a list so long, as they were together at one moment.
///
/// # Errors
/// As `look`; `NoMemory`.
pub fn snapshot(
    caller: Caller,
    list: List,
    choose: &dyn Fn(u64) -> Places,
) -> Result<(Vec<Stored>, Token)> {
    let segment = &caller.space.segment;
    let word = segment.word(sequence(list.object));
    for _ in 0..MAX_ATTEMPTS {
        let _reading = Reading::new(segment);
        let before = word.load(Ordering::Acquire); // pairs with apply's Release of even
        if before & 1 != 0 {
            relax();
            continue;
        }
        let still = || {
            fence(Ordering::Acquire); // pairs with apply's Release fence after odd
            word.load(Ordering::Relaxed) == before
        };
        match collect(segment, list, choose, &still) {
            Ok(Some((elements, count))) if still() => {
                let token = Token {
                    sequence: before,
                    count,
                };
                return Ok((elements, token));
            }
            Err(error) if still() => return Err(error),
            _ => {}
        }
    }
    caller.run(|operation| {
        lock(operation, list)?;
        let sequence = word.load(Ordering::Relaxed);
        let found = collect(segment, list, choose, &|| true)?;
        let (elements, count) =
            found.ok_or_else(|| Stop::from(corrupt("a list changed under its lock")))?;
        Ok((elements, Token { sequence, count }))
    })
}

/// None: `still` does not hold any more.
fn collect(
    segment: &Segment,
    list: List,
    choose: &dyn Fn(u64) -> Places,
    still: &dyn Fn() -> bool,
) -> Result<Option<(Vec<Stored>, u64)>> {
    let ring = Ring::read(segment, list.object)?;
    if !still() {
        return Ok(None); // before a number that means nothing is made room for
    }
    let places = choose(ring.count);
    let mut elements = room::list(places.count as usize)?;
    let mut copied = 0;
    for index in 0..places.count {
        let place = places.at(index);
        if place >= ring.count {
            return Err(corrupt("a place beyond a list's end"));
        }
        let word = segment.word(ring.word(place)).load(Ordering::Relaxed);
        let mut bytes = Vec::new();
        let Some(value) = value::copy(segment, word, still, &mut bytes)? else {
            return Ok(None);
        };
        copied += bytes.len() as u64;
        room::push(&mut elements, value.map(|()| bytes))?;
        // What is torn may claim any length.
        if copied > segment.size() {
            return match still() {
                true => Err(corrupt("what a list holds is larger than its space")),
                false => Ok(None),
            };
        }
    }
    Ok(Some((elements, ring.count)))
}

/// Copies all words, if the list is still as it was. None: it is not.
pub(super) fn words(
    segment: &Segment,
    list: List,
    token: Token,
) -> Result<Option<(Ring, Vec<u64>)>> {
    let word = segment.word(sequence(list.object));
    let _reading = Reading::new(segment);
    let still = || {
        fence(Ordering::Acquire); // pairs with apply's Release fence after odd
        word.load(Ordering::Relaxed) == token.sequence
    };
    let ring = match Ring::read(segment, list.object) {
        Err(error) if still() => return Err(error),
        Ok(ring) if still() => ring,
        _ => return Ok(None),
    };
    let read = |index| segment.word(ring.word(index)).load(Ordering::Relaxed);
    let words = room::collect((0..ring.count).map(read))?;
    Ok(still().then_some((ring, words)))
}
