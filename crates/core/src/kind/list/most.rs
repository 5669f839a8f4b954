//! How many elements there may be: a deque's `maxlen`.

use super::batch::Batch;
use super::grow::resize;
use super::read::look;
use super::rebuild::{Piece, rebuild_with};
use super::state::{COUNT, List, MOST, Ring, START, is_too_large, lock, root, sequence};
use crate::error::Result;
use crate::memory::segment::Segment;
use crate::object::{EVENT, linked};
use crate::offset::Object;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::sync::Ordering;
use crate::value::{self, tidy};

fn word(most: Option<u64>) -> u64 {
    most.map_or(0, |most| most.saturating_add(1))
}

/// Says how many elements there may be, in a list that nobody else sees yet.
pub fn set_most(segment: &Segment, object: Object, most: Option<u64>) {
    let at = segment.word(root(object) + MOST);
    at.store(word(most), Ordering::Relaxed);
}

/// How many elements there may be. What depends on it looks with the list's lock held, or at a
/// sequence that it compares later.
pub fn most(segment: &Segment, object: Object) -> Option<u64> {
    let most = segment.word(root(object) + MOST).load(Ordering::Relaxed);
    most.checked_sub(1)
}

/// What an attempt came to.
enum Done {
    /// Whether something is left to tidy, and whether the ring is too large now.
    Yes(bool, bool),
    Rebuild,
}

/// Says how many elements there may be from now on; the first ones go that are too many by then.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record says it and drops them.
pub fn bound(caller: Caller, list: List, most: Option<u64>) -> Result<()> {
    let (segment, object) = (&caller.space.segment, list.object);
    let at = root(object) + MOST;
    loop {
        let done = caller.run(|operation| {
            lock(operation, list)?;
            if operation.read(at) == word(most) {
                return Ok(Done::Yes(false, false));
            }
            let ring = Ring::read(segment, object)?;
            let drops = ring.count.saturating_sub(most.unwrap_or(u64::MAX));
            let block = |index| {
                let word = segment.word(ring.word(index)).load(Ordering::Relaxed);
                linked(segment, word).map(|block| block.map(|_| word))
            };
            let mut left = false;
            if drops == 1 {
                if let Some(word) = block(0)? {
                    left = value::discard(operation, word)?;
                }
            } else {
                for index in 0..drops {
                    if block(index)?.is_some() {
                        return Ok(Done::Rebuild); // many blocks go: that is another operation
                    }
                }
            }
            operation.write(at, word(most));
            if seeded(Bug::BoundInTwo) {
                operation.commit();
            }
            if drops > 0 {
                operation.write(root(object) + START, ring.turn(drops));
                operation.write(root(object) + COUNT, ring.count - drops);
            }
            operation.sequence(sequence(object));
            operation.queue_quiet_wake(object + EVENT);
            operation.commit();
            crate::memory::crash_point!("list.bounded");
            let is_too_large = drops > 0 && is_too_large(ring.capacity, ring.count - drops);
            Ok(Done::Yes(left, is_too_large))
        })?;
        if let Done::Yes(left, is_too_large) = done {
            if is_too_large {
                // Where there is no room for a smaller ring, the large one stays.
                let _ = resize(caller, list, 0);
            }
            if left {
                tidy(caller)?;
            }
            return Ok(());
        }
        let token = look(caller, list)?;
        let kept = token.count.min(most.unwrap_or(u64::MAX));
        let pieces = [Piece::old(token.count - kept, kept)];
        let nothing = Batch::new(0);
        let done = rebuild_with(caller, list, token, &nothing, &pieces, |operation| {
            operation.write(at, word(most));
        })?;
        if done {
            return Ok(());
        }
    }
}
