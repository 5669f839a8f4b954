//! How a lease ends.

use super::due::When;
use super::lease::{Lease, finish, give_back};
use super::requeue::requeue;
use super::state::Queue;
use crate::error::Result;
use crate::object::holding::Row;
use crate::offset::Object;
use crate::process::participant::Participant;
use crate::space::{Caller, Job, Space};
use std::time::Duration;

/// What becomes of the item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It is done with.
    Done,
    /// It goes back, first in line.
    Back,
    /// It goes back, to be served then.
    Again(When),
}

impl End {
    fn number(self) -> (u64, u64) {
        match self {
            End::Done => (0, 0),
            End::Back => (1, 0),
            End::Again(When::Last) => (2, 0),
            End::Again(When::After(delay)) => (3, delay.as_micros().try_into().unwrap_or(u64::MAX)),
        }
    }

    fn of((kind, delay): (u64, u64)) -> End {
        match kind {
            0 => End::Done,
            1 => End::Back,
            2 => End::Again(When::Last),
            _ => End::Again(When::After(Duration::from_micros(delay))),
        }
    }
}

/// Ends a lease; its row is free then.
///
/// # Errors
/// `Interrupted` and `TimedOut` as the wait policy says, and nothing has changed.
///
/// # Crash
/// One record, of `finish`, `give_back` or `requeue`.
pub fn end(caller: Caller, queue: Queue, lease: Lease, end: End) -> Result<()> {
    match end {
        End::Done => finish(caller, queue, lease),
        End::Back => give_back(caller, queue, lease),
        End::Again(when) => requeue(caller, queue, lease, when),
    }?;
    lease.row.give(caller.participant);
    Ok(())
}

/// As `end`, by who cannot wait: where that takes waiting it is done later, and a delay begins then.
pub fn end_later(space: &Space, participant: &Participant, queue: Queue, lease: Lease, end: End) {
    let Lease { row, block } = lease;
    let (kind, delay) = end.number();
    let numbers = [queue.object.0, row.number, row.at, block, kind, delay];
    space.now_or_later(participant, &END, numbers);
}

/// The queue is ours until this is done: memberships are given back behind it.
static END: Job = Job {
    run: |caller, &[object, number, at, block, kind, delay]| {
        let (queue, row) = (Queue::at(Object(object)), Row { number, at });
        let how = End::of((kind, delay));
        end(caller, queue, Lease { row, block }, how)
    },
    inherit: |_, _| {},
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{End, When};
    use std::time::Duration;

    #[test]
    fn each_end_has_its_number() {
        let delays = [Duration::ZERO, Duration::from_micros(1500)];
        let again = delays.map(|delay| End::Again(When::After(delay)));
        for end in [
            End::Done,
            End::Back,
            End::Again(When::Last),
            again[0],
            again[1],
        ] {
            assert_eq!(End::of(end.number()), end);
        }
    }
}
