//! Reading without a lock: copy out, then see whether the sequence has changed.

use super::head::{SEQUENCE, Writer, guard};
use crate::change::lock::Waiter;
use crate::change::operation::Operation;
use crate::error::{Attempt, Result, corrupt};
use crate::offset::LockWord;
use crate::space::Caller;
use crate::space::reading::Reading;
use crate::sync::{Ordering, fence, relax};
use std::time::Duration;

/// Failed attempts to read under the sequence before the reader takes the lock.
const MAX_ATTEMPTS: u32 = 1000;
/// The same where the sequence stays odd: of these, each is a wait for the lock. Damage may leave
/// it odd with nobody at work, and then there is nothing to wait for.
const MAX_WAITS: u32 = 20;
const A_LOOK: Duration = Duration::from_millis(1);

/// What an attempt to read under the sequence came to.
pub enum Read<T> {
    /// Right if the sequence did not change meanwhile.
    Copied(T),
    /// Right by itself: a pin held what was read.
    Pinned(T),
    /// The sequence changed already.
    Lost,
}

/// Runs `read` until the object's sequence did not change meanwhile; after many losses, under the
/// object's lock.
pub(super) fn under_sequence<T>(
    caller: Caller,
    writer: Writer,
    read: impl FnMut() -> Result<Read<T>>,
) -> Result<T> {
    let exclusive = Writer {
        guarded: true,
        ..writer
    };
    let places = (writer.object.lock(), writer.object + SEQUENCE);
    let lock = |operation: &mut Operation| guard(operation, exclusive);
    read_under(caller, places, lock, read)
}

/// Runs `read` until the sequence did not change meanwhile; after many losses, under the lock that
/// `take` takes. `places` are that lock's word, to wait for, and the sequence's.
pub fn read_under<T>(
    caller: Caller,
    places: (LockWord, u64),
    take: impl Fn(&mut Operation) -> Attempt<()>,
    mut read: impl FnMut() -> Result<Read<T>>,
) -> Result<T> {
    let segment = &caller.space.segment;
    let sequence = segment.word(places.1);
    let mut waits = 0;
    for turn in 0..MAX_ATTEMPTS {
        let reading = Reading::new(segment);
        let before = sequence.load(Ordering::Acquire); // pairs with apply's Release of even
        if before & 1 == 0 {
            let result = read();
            fence(Ordering::Acquire); // pairs with apply's Release fence after odd
            let steady = sequence.load(Ordering::Relaxed) == before;
            drop(reading);
            match result {
                Ok(Read::Pinned(value)) => return Ok(value),
                Ok(Read::Copied(value)) if steady => return Ok(value),
                Err(error) if steady => return Err(error), // so it is no torn read
                _ => {}
            }
        } else if turn > 100 {
            drop(reading); // whoever waits reads nothing
            // Odd for long: ask after the writer, who may be dead.
            (caller.wait)(&mut |limit: Duration| {
                // A new one each time: who only reads takes no lock that is kept for it.
                let mut waiter = Waiter::new(segment, places.0);
                caller.space.wait_slice(&mut waiter, limit.min(A_LOOK))
            })?;
            waits += 1;
            if waits == MAX_WAITS {
                break;
            }
        }
        relax();
    }
    caller.run(|operation| {
        take(operation)?;
        match read()? {
            Read::Copied(value) | Read::Pinned(value) => Ok(value),
            Read::Lost => Err(corrupt("a sequence changed while its lock was held").into()),
        }
    })
}
