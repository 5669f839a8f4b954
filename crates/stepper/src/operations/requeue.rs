//! Items that go back from a lease, and items that move to another queue.

use super::queue::{bytes_of, contents, item, make, own_row};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{announce, caller, fill, is_free, me, told_apart, warm, with_wake};
use courtyard_core::holding::Row;
use courtyard_core::inside::operation::Purpose;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue::{
    self, GET_LOCK, INLINE, Look, NewItem, Order, Put, Queue, Seen, Sift, When,
};
use courtyard_core::space::Space;
use courtyard_core::{directory, heap};
use std::time::Duration;

const KIND: u8 = 20;
const LARGE: usize = INLINE as usize + 400;
/// Not over while this runs.
const LATER: Duration = Duration::from_secs(1000);

type Items = Vec<u8>;

fn put(space: &Space, queue: Queue, order: Order, number: usize, length: usize) {
    let bytes = item(number, length);
    let parts = [bytes.as_slice()];
    let new = if order == Order::Fifo && length <= INLINE as usize {
        NewItem::Bytes(KIND, &parts)
    } else {
        queue::prepare(caller(space), KIND, &parts).expect("a block")
    };
    let put = if order == Order::Least {
        let place = queue::filled(&space.segment, queue.object); // they come in order
        let moves = Vec::new();
        let sift = Sift { moves, place };
        queue::insert(caller(space), queue, &new, &sift)
    } else {
        queue::put(caller(space), queue, &new)
    };
    assert_eq!(put.expect("to put"), Put::Done);
}

fn lease(space: &Space, queue: Queue, sift: Option<&Sift>) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let leased = queue::lease(caller(space), queue, row, sift);
    leased.expect("to lease").expect("an item")
}

fn requeue(space: &Space, queue: Queue, lease: queue::Lease, when: When) {
    let done = queue::requeue(caller(space), queue, lease, when);
    done.expect("to requeue");
    lease.row.give(me(space));
}

/// The numbers of all items, in the order in which they would be taken; what is counted is what is
/// there, and the locks are free.
fn items(space: &Space, queue: Queue) -> Result<Items, String> {
    let segment = &space.segment;
    is_free(space, queue.object.lock())?;
    is_free(space, queue.object + GET_LOCK)?;
    let seen = queue::peek(caller(space), queue.object, Look::at(usize::MAX));
    let number = |seen| match seen {
        Seen::Bytes(_, bytes) => bytes[0],
        other => panic!("{other:?} was never put"),
    };
    let items: Items = seen
        .map_err(|error| error.to_string())?
        .into_iter()
        .map(number)
        .collect();
    let (counted, leased) = queue::counts(segment, queue.object);
    let open = queue::unfinished(segment, queue.object);
    let there = items.len() as u64;
    match (there, 0, there) == (counted, leased, open) {
        true => Ok(items),
        false => Err(format!(
            "counted {counted}, leased {leased}, open {open}: there are {items:?}"
        )),
    }
}

struct Scene {
    queue: Queue,
    other: Queue,
    flagged: Option<u64>,
    made: crate::stage::Made,
}

/// An operation on a queue of `count` items, and another queue beside it.
fn change<R: 'static>(
    name: &str,
    (order, count, length): (Order, usize, usize),
    (before, after): ([Items; 2], [Items; 2]),
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, &Scene, R) + 'static,
) -> Entry {
    let is_same = before == after;
    let wakes = !is_same && after[0].len() == before[0].len();
    play(
        name,
        if is_same {
            Ends::AsBefore
        } else {
            Ends::Changed
        },
        move |space| {
            warm(space);
            let scene = make(space, 0, order);
            let other = make(space, 0, order);
            for number in 0..count {
                put(space, scene.queue, order, number, length);
            }
            Scene {
                queue: scene.queue,
                other: other.queue,
                flagged: wakes.then(|| announce(space, scene.made())),
                made: scene.made(),
            }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.queue)
        },
        act,
        move |space, scene| {
            let found = [items(space, scene.queue)?, items(space, scene.other)?];
            let outcome = told_apart(&found, &before, &after)?;
            match scene.flagged {
                None => Ok(outcome),
                flagged => with_wake(outcome, space, scene.made, flagged),
            }
        },
    )
}

fn alone(items: &[u8]) -> [Items; 2] {
    [items.to_vec(), Vec::new()]
}

fn first(space: &'static Space, queue: Queue) -> queue::Lease {
    lease(space, queue, None)
}

/// Leases the first four items and puts them back for later, at times that differ; then leases one more.
fn among_others(space: &'static Space, queue: Queue) -> queue::Lease {
    for delay in [400, 100, 300, 200] {
        let lease = first(space, queue);
        requeue(
            space,
            queue,
            lease,
            When::After(LATER + Duration::from_secs(delay)),
        );
    }
    first(space, queue)
}

fn requeueing(entries: &mut Vec<Entry>) {
    let now = When::After(Duration::ZERO);
    for (name, order, length, when, after) in [
        ("an item", Order::Fifo, 100, now, [1, 2, 0]),
        ("a large item", Order::Fifo, LARGE, now, [1, 2, 0]),
        (
            "an item for later",
            Order::Fifo,
            100,
            When::After(LATER),
            [1, 2, 0],
        ),
        (
            "an item of a stack last",
            Order::Lifo,
            100,
            When::Last,
            [1, 0, 2],
        ),
    ] {
        let before = if order == Order::Lifo {
            [2, 1, 0]
        } else {
            [0, 1, 2]
        };
        entries.push(change(
            &format!("requeue {name}"),
            (order, 3, length),
            (alone(&before), alone(&after)),
            first,
            move |space, scene, lease| requeue(space, scene.queue, lease, when),
        ));
    }
    entries.push(change(
        "requeue an item of a stack",
        (Order::Lifo, 2, 100),
        (alone(&[1, 0]), alone(&[1, 0])),
        first,
        move |space, scene, lease| requeue(space, scene.queue, lease, now),
    ));
    // Those that wait are split by when they are due.
    for (seconds, after) in [
        (50, [5, 4, 1, 3, 2, 0]),
        (150, [5, 1, 4, 3, 2, 0]),
        (250, [5, 1, 3, 4, 2, 0]),
        (350, [5, 1, 3, 2, 4, 0]),
        (450, [5, 1, 3, 2, 0, 4]),
    ] {
        entries.push(change(
            &format!("requeue an item among others, {seconds}"),
            (Order::Fifo, 6, 100),
            (alone(&[4, 5, 1, 3, 2, 0]), alone(&after)),
            among_others,
            move |space, scene, lease| {
                let delay = LATER + Duration::from_secs(seconds);
                requeue(space, scene.queue, lease, When::After(delay));
            },
        ));
    }
}

fn serving(entries: &mut Vec<Entry>) {
    let back = |space: &'static Space, queue: Queue| {
        for _ in 0..2 {
            let lease = first(space, queue);
            requeue(space, queue, lease, When::After(Duration::ZERO));
        }
        own_row(space, queue)
    };
    entries.push(change(
        "get a requeued item",
        (Order::Fifo, 2, 100),
        (alone(&[0, 1]), alone(&[1])),
        back,
        |space, scene, row| {
            let mut buffer = vec![0; INLINE as usize];
            let got = queue::get(caller(space), scene.queue, row, None, &mut buffer);
            let got = got.expect("to get").expect("an item");
            assert_eq!(bytes_of(space, got, &buffer)[0], 0);
        },
    ));
    entries.push(change(
        "lease a requeued item",
        (Order::Fifo, 2, 100),
        (alone(&[0, 1]), alone(&[0, 1])),
        back,
        |space, scene, _| {
            let lease = first(space, scene.queue);
            let payload = heap::payload(&space.segment, lease.block);
            assert_eq!(contents(space, payload), item(0, 100));
            let attempts = queue::attempts(&space.segment, lease.block);
            assert_eq!(attempts.expect("attempts"), 2);
        },
    ));
    // An item of the ring is first, and there is no room for its block: what has one comes before it.
    entries.push(change(
        "lease a requeued item early, in a full space",
        (Order::Fifo, 3, 100),
        (alone(&[1, 2, 0]), alone(&[0, 1, 2])),
        |space, queue| {
            let lease = first(space, queue);
            requeue(space, queue, lease, When::After(Duration::ZERO));
            let mut held = fill(space);
            let purpose = Purpose::Release; // so that what is stored takes nothing
            let unit = PendingBlock::allocate_units(purpose, caller(space), 1, 0);
            held.push(unit.expect("a unit of the reserve"));
            held
        },
        |space, scene, held| {
            let lease = first(space, scene.queue);
            let payload = heap::payload(&space.segment, lease.block);
            assert_eq!(contents(space, payload), item(0, 100));
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "drop a requeued item",
        (Order::Fifo, 6, 100),
        (alone(&[5, 1, 3, 2, 0]), alone(&[5, 3, 2, 0])),
        |space, queue| {
            let lease = among_others(space, queue);
            queue::finish(caller(space), queue, lease).expect("to finish");
            lease.row.give(me(space));
        },
        |space, scene, ()| {
            let dropped = queue::drop_requeued(caller(space), scene.queue);
            assert!(dropped.expect("to drop"));
        },
    ));
}

/// In a priority queue: what is due goes to its place in the tree.
fn promoting(entries: &mut Vec<Entry>) {
    let all = || alone(&[0, 1, 2]);
    entries.push(change(
        "promote a requeued item",
        (Order::Least, 3, 100),
        (all(), all()),
        |space, queue| {
            let turn = queue::try_turn(&space.segment, me(space), queue.object, 0);
            assert!(turn.expect("an answer"));
            let sift = Sift {
                moves: vec![(0, 1)],
                place: 1,
            };
            let lease = lease(space, queue, Some(&sift));
            requeue(space, queue, lease, When::After(Duration::ZERO));
        },
        |space, scene, ()| {
            let queue = scene.queue;
            let due = queue::until_due(caller(space), queue);
            let (_, block) = due.expect("an answer").expect("an item");
            let sift = Sift {
                moves: vec![(2, 1), (1, 0)],
                place: 0,
            };
            let done = queue::promote(caller(space), queue, block, &sift);
            assert!(done.expect("to promote"));
            queue::end_turn(&space.segment, queue.object);
        },
    ));
}

fn moving(entries: &mut Vec<Entry>) {
    for (name, order, length, before, after) in [
        ("an item", Order::Fifo, 100, [0, 1], 1),
        ("a large item", Order::Fifo, LARGE, [0, 1], 1),
        ("an item of a stack", Order::Lifo, 100, [1, 0], 0),
    ] {
        entries.push(change(
            &format!("move {name} to another queue"),
            (order, 2, length),
            (alone(&before), [vec![after], vec![before[0]]]),
            first,
            |space, scene, lease| {
                let queues = (scene.queue, scene.other);
                let put = queue::transfer(caller(space), queues, lease, None);
                assert_eq!(put.expect("to move"), Put::Done);
                lease.row.give(me(space));
            },
        ));
    }
}

fn leaving(entries: &mut Vec<Entry>) {
    entries.push(play(
        "leave a queue of requeued items",
        Ends::AsBefore,
        warm,
        |space, ()| {
            warm(space);
            let scene = make(space, 0, Order::Fifo);
            for number in 0..6 {
                put(space, scene.queue, Order::Fifo, number, 100);
            }
            let lease = among_others(space, scene.queue);
            requeue(space, scene.queue, lease, When::After(LATER));
            scene
        },
        |space, (), scene| {
            directory::leave(caller(space), scene.row).expect("to leave");
        },
        |_, ()| Ok(Outcome::Before),
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    requeueing(entries);
    serving(entries);
    promoting(entries);
    moving(entries);
    leaving(entries);
}
