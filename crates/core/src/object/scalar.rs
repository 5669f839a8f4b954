//! Changes of a single word: the store itself commits.

use super::head::{EVENT, OWNER, RECOVERED, Writer, guard};
use crate::change::lock::{self, Tried};
use crate::change::{fast, wait};
use crate::error::{Result, corrupt};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::space::Caller;
use crate::sync::Ordering;

/// Changes an object by one store that `change` makes, and wakes the waiters.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`.
///
/// # Crash
/// The store commits; the queued wake is written before it.
pub fn change<T>(caller: Caller, writer: Writer, mut change: impl FnMut() -> T) -> Result<T> {
    caller.run(|operation| {
        guard(operation, writer)?;
        operation.queue_wake(writer.object + EVENT);
        let mut result = None;
        operation.commit_with(|| result = Some(change()));
        crate::memory::crash_point!("object.stored");
        result.ok_or_else(|| corrupt("the change did not run").into())
    })
}

/// As `change`, on the fast path: no spinning, no waiting, no general machinery.
/// None: the lock is held or was a dead one's, nothing was done, `change` is due.
///
/// # Safety
/// No other thread of this process is in this function meanwhile: it uses a thread record that
/// is set apart for one caller at a time (who holds the GIL throughout).
///
/// # Crash
/// As `change`.
#[inline(always)]
pub unsafe fn change_fast<T>(
    segment: &Segment,
    participant: &Participant,
    object: Object,
    guarded: bool,
    change: impl FnOnce() -> T,
) -> Option<T> {
    if guarded {
        match lock::try_acquire(segment, object.lock(), participant.me, 0) {
            Ok(Tried::Acquired) => {}
            Ok(Tried::Recovered) => {
                segment
                    .word(object + OWNER)
                    .store(RECOVERED, Ordering::Relaxed);
            }
            _ => return None,
        }
    }
    let (base, event) = (participant.record(0), object + EVENT);
    fast::queue_wake(segment, base, event);
    let result = change();
    crate::memory::crash_point!("object.stored");
    let lock = guarded.then_some(object.lock());
    fast::finish(segment, base, lock, event, wait::notify);
    Some(result)
}
