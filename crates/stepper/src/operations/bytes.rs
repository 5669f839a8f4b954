//! Queues that are bounded in bytes: what they count is what their items are.

use super::queue::{blocks, bytes_of, enroll, item, make};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{announce, announce_at, caller, is_free, me, told_apart, warm, was_told_at};
use courtyard_core::holding::Row;
use courtyard_core::layout::UNIT;
use courtyard_core::queue::{
    self, Bounds, Fresh, Got, INLINE, Item, Look, Order, Put, Queue, ROOM, Run, Seen, Sift, When,
};
use courtyard_core::space::Space;
use courtyard_core::unfinished::Unfinished;
use courtyard_core::{cell, directory};
use std::time::Duration;

const KIND: u8 = 20;
const SMALL: usize = 100;
const LARGE: usize = INLINE as usize + 400;
/// So many items of this length fill a page.
const LONG: usize = 4000;
const PAGE: usize = 4;

/// The numbers of the items of two queues, and what each counts.
type State = [(Vec<u8>, u64); 2];

#[derive(Clone, Copy)]
struct Scene {
    queue: Queue,
    other: Queue,
    blocks: usize,
    /// Event words at which somebody sleeps: that of items, that of room.
    flagged: [Option<u64>; 2],
}

/// A queue of `count` items of `length` bytes each that has room for `most` of them, and an empty one
/// beside it.
#[derive(Clone, Copy)]
struct Start {
    order: Order,
    count: usize,
    length: usize,
    most: usize,
    /// How many the other has room for; 0: it does not count.
    beside: usize,
    /// Whether an item is in a block afterwards that was in none: then one more says that it happened.
    in_block: bool,
}

const START: Start = Start {
    order: Order::Fifo,
    count: 2,
    length: SMALL,
    most: 20,
    beside: 20,
    in_block: false,
};

fn bounds(items: usize, length: usize) -> Bounds {
    Bounds {
        items: 0,
        bytes: items as u64 * queue::bytes_of(length as u64),
    }
}

fn fresh<'a>(space: &'a Space, order: Order, parts: &'a [&'a [u8]]) -> Fresh<'a> {
    match order == Order::Fifo && parts[0].len() <= INLINE as usize {
        true => Fresh::Bytes(KIND, parts),
        false => queue::prepare(caller(space), KIND, parts).expect("a block"),
    }
}

/// Puts an item; into a tree as the greatest.
fn put(space: &Space, queue: Queue, order: Order, number: usize, length: usize) -> Put {
    let bytes = item(number, length);
    let parts = [bytes.as_slice()];
    let fresh = fresh(space, order, &parts);
    let put = if order == Order::Least {
        let place = queue::filled(&space.segment, queue.cell);
        let moves = Vec::new();
        let sift = Sift { moves, place };
        queue::insert(caller(space), queue, &fresh, &sift)
    } else {
        queue::put(caller(space), queue, &fresh)
    };
    put.expect("to put")
}

/// How the least of three items goes.
fn sift(order: Order) -> Option<Sift> {
    let moves = vec![(0, 1)];
    (order == Order::Least).then_some(Sift { moves, place: 1 })
}

fn get(space: &Space, queue: Queue, row: Row, order: Order) -> Option<u8> {
    let mut buffer = vec![0; INLINE as usize];
    let sift = sift(order);
    let got = queue::get(caller(space), queue, row, sift.as_ref(), &mut buffer);
    let got = got.expect("to get")?;
    Some(bytes_of(space, got, &buffer)[0])
}

fn lease(space: &Space, queue: Queue) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let leased = queue::lease(caller(space), queue, row, None);
    leased.expect("to lease").expect("an item")
}

/// Takes the first item in a block.
fn get_block(space: &'static Space, queue: Queue, row: Row) -> Unfinished<'static> {
    let (mut buffer, all) = (vec![0; INLINE as usize], |_| true);
    let got = queue::get_but(caller(space), queue, row, None, all, &mut buffer);
    match got.expect("to get").expect("an item") {
        Got::Block(block) => block,
        _ => panic!("an item in no block"),
    }
}

/// What is there, in the order in which it would be taken; the locks are free.
fn state(space: &Space, queue: Queue) -> Result<(Vec<u8>, u64), String> {
    is_free(space, queue.cell)?;
    is_free(space, queue.cell + cell::PAYLOAD)?;
    let look = Look::at(usize::MAX);
    let seen = queue::peek(caller(space), queue.cell, look);
    let number = |seen| match seen {
        Seen::Bytes(_, bytes) => bytes[0],
        Seen::Word(word) => word as u8,
        Seen::Long(_) => panic!("an item that nobody put"),
    };
    let seen = seen.map_err(|error| error.to_string())?;
    let numbers = seen.into_iter().map(number).collect();
    Ok((numbers, queue::bytes(&space.segment, queue.cell)))
}

/// The state in which the queues have these items, and `leased` of the first are out.
fn state_of(start: Start, items: [&[u8]; 2], leased: usize) -> State {
    let each = queue::bytes_of(start.length as u64);
    let counted = |items: &[u8], more: usize, most: usize| match most {
        0 => 0,
        _ => (items.len() + more) as u64 * each,
    };
    let [own, other] = items;
    [
        (own.to_vec(), counted(own, leased, start.most)),
        (other.to_vec(), counted(other, 0, start.beside)),
    ]
}

/// An operation on the first of such queues.
fn change<R: 'static>(
    name: &str,
    start: Start,
    states: ([&[u8]; 2], [&[u8]; 2]),
    kept: usize,
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, &Scene, R) + 'static,
) -> Entry {
    let ready = move |space, scene: &Scene| ready(space, scene.queue);
    change_both(name, start, states, kept, ready, act)
}

/// An operation on such queues. `kept`: so many items are on leases of somebody who lives.
fn change_both<R: 'static>(
    name: &str,
    start: Start,
    (before, after): ([&[u8]; 2], [&[u8]; 2]),
    kept: usize,
    ready: impl Fn(&'static Space, &Scene) -> R + 'static,
    act: impl Fn(&'static Space, &Scene, R) + 'static,
) -> Entry {
    let grows = after[0].len() > before[0].len();
    let shrinks = after[0].len() < before[0].len();
    let [before, after] = [before, after].map(|items| state_of(start, items, kept));
    let Start {
        order,
        count,
        length,
        most,
        beside,
        in_block,
    } = start;
    let ends = match before == after && !in_block {
        true => Ends::AsBefore,
        false => Ends::Changed,
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let made = make(space, bounds(most, length), order);
            let other = make(space, bounds(beside, length), order);
            for number in 0..count {
                let put = put(space, made.queue, order, number, length);
                assert_eq!(put, Put::Done);
            }
            for _ in 0..kept {
                lease(space, made.queue);
            }
            Scene {
                blocks: blocks(space, made.queue).expect("blocks"),
                queue: made.queue,
                other: other.queue,
                flagged: [
                    grows.then(|| announce(space, made.made())),
                    shrinks.then(|| announce_at(space, made.queue.cell + ROOM)),
                ],
            }
        },
        move |space, scene| {
            warm(space);
            ready(space, scene)
        },
        act,
        move |space, scene| {
            let found = [state(space, scene.queue)?, state(space, scene.other)?];
            let mut outcome = told_apart(&found, &before, &after)?;
            if blocks(space, scene.queue)? > scene.blocks {
                outcome = match outcome {
                    _ if in_block => Outcome::After,
                    Outcome::Before if grows => Outcome::Prepared, // a page
                    outcome => outcome,
                };
            }
            let base = scene.queue.cell;
            let told = [base + cell::EVENT, base + ROOM]
                .into_iter()
                .zip(scene.flagged);
            for (event, flagged) in told {
                if found == after && flagged.is_some() && !was_told_at(space, event, flagged) {
                    return Err("it changed and nobody was told".into());
                }
            }
            Ok(outcome)
        },
    )
}

fn putting(entries: &mut Vec<Entry>) {
    let two: [&[u8]; 2] = [&[0, 1], &[]];
    let three: [&[u8]; 2] = [&[0, 1, 2], &[]];
    for (name, order, length) in [
        ("count an item put", Order::Fifo, SMALL),
        ("count a large item put", Order::Fifo, LARGE),
        ("count an item put into a tree", Order::Least, SMALL),
    ] {
        let start = Start {
            order,
            length,
            ..START
        };
        entries.push(change(
            name,
            start,
            (two, three),
            0,
            |_, _| (),
            move |space, scene, ()| {
                assert_eq!(put(space, scene.queue, order, 2, length), Put::Done);
            },
        ));
    }
    let stack = Start {
        order: Order::Lifo,
        ..START
    };
    entries.push(change(
        "count an item put on a stack",
        stack,
        ([&[1, 0], &[]], [&[2, 1, 0], &[]]),
        0,
        |_, _| (),
        |space, scene, ()| {
            assert_eq!(put(space, scene.queue, Order::Lifo, 2, SMALL), Put::Done);
        },
    ));
    entries.push(change(
        "count an item put by the fast path",
        START,
        (two, three),
        0,
        |_, _| (),
        |space, scene, ()| {
            let item = item(2, SMALL);
            let parts = [item.as_slice()];
            let (cell, fresh) = (scene.queue.cell, Fresh::Bytes(KIND, &parts));
            // SAFETY: the processes here have one thread.
            let put = unsafe { queue::put_fast(&space.segment, me(space), cell, &fresh) };
            assert_eq!(put, Some(Put::Done));
        },
    ));
    // As many as the bytes allow, of those that are put at once.
    for (name, most, fit) in [
        ("count items put at once", 20, 3),
        ("count items put at once of which two fit", 4, 2),
    ] {
        let all = [0, 1, 2, 3, 4];
        let start = Start { most, ..START };
        entries.push(change(
            name,
            start,
            (two, [&all[..2 + fit], &[]]),
            0,
            |_, _| (),
            move |space, scene, ()| {
                let items = [2, 3, 4].map(|number| item(number, SMALL));
                let mut records = Vec::new();
                for item in &items {
                    assert!(queue::add_record(&mut records, Item::Bytes(KIND, item)));
                }
                let cell = scene.queue.cell;
                // SAFETY: as above.
                let put = unsafe { queue::put_run(&space.segment, me(space), cell, &records) };
                assert_eq!(put, records.len() / 3 * fit);
            },
        ));
    }
    entries.push(change(
        "put into a queue that is full of bytes",
        Start { most: 2, ..START },
        (two, two),
        0,
        |_, _| (),
        |space, scene, ()| {
            let (queue, order) = (scene.queue, Order::Fifo);
            assert_eq!(put(space, queue, order, 2, SMALL), Put::Full);
            assert_eq!(put(space, queue, order, 2, 3 * SMALL), Put::TooLarge);
        },
    ));
    let page = [0, 1, 2, 3, 4];
    entries.push(change(
        "count an item put on a new page",
        Start {
            count: PAGE,
            length: LONG,
            ..START
        },
        ([&page[..PAGE], &[]], [&page, &[]]),
        0,
        |_, _| (),
        |space, scene, ()| {
            let put = put(space, scene.queue, Order::Fifo, PAGE, LONG);
            assert_eq!(put, Put::Done);
        },
    ));
}

fn getting(entries: &mut Vec<Entry>) {
    for (name, order, count, length, before, after) in [
        (
            "count an item got",
            Order::Fifo,
            2,
            SMALL,
            vec![0, 1],
            vec![1],
        ),
        (
            "count a large item got",
            Order::Fifo,
            2,
            LARGE,
            vec![0, 1],
            vec![1],
        ),
        (
            "count an item got from a stack",
            Order::Lifo,
            2,
            SMALL,
            vec![1, 0],
            vec![0],
        ),
        (
            "count an item got from a tree",
            Order::Least,
            3,
            SMALL,
            vec![0, 1, 2],
            vec![1, 2],
        ),
    ] {
        let start = Start {
            order,
            count,
            length,
            ..START
        };
        entries.push(change(
            name,
            start,
            ([&before, &[]], [&after, &[]]),
            0,
            enroll,
            move |space, scene, row| {
                let least = if order == Order::Lifo { 1 } else { 0 };
                assert_eq!(get(space, scene.queue, row, order), Some(least));
            },
        ));
    }
    entries.push(change(
        "count an item got by the fast path",
        START,
        ([&[0, 1], &[]], [&[1], &[]]),
        0,
        enroll,
        |space, scene, row| {
            let (segment, me, cell) = (&space.segment, me(space), scene.queue.cell);
            let mut buffer = [0; INLINE as usize];
            // SAFETY: as above.
            let got = unsafe { queue::get_fast(segment, me, cell, row, &mut buffer) };
            assert!(matches!(got, Some(Some(Got::Bytes(KIND, SMALL)))));
        },
    ));
    for (name, max, after) in [
        ("count items got at once", 9, [].as_slice()),
        ("count some items got at once", 2, &[2]),
    ] {
        let start = Start { count: 3, ..START };
        entries.push(change(
            name,
            start,
            ([&[0, 1, 2], &[]], [after, &[]]),
            0,
            enroll,
            move |space, scene, row| {
                let (segment, me, cell) = (&space.segment, me(space), scene.queue.cell);
                let (mut buffer, none) = ([0; UNIT as usize], |_| false);
                // SAFETY: as above.
                let run = unsafe { queue::get_run(segment, me, cell, row, max, none, &mut buffer) };
                assert!(matches!(run, Run::Taken(_)), "{run:?}");
            },
        ));
    }
    entries.push(change(
        "count an item looked at and taken",
        START,
        ([&[0, 1], &[]], [&[1], &[]]),
        0,
        enroll,
        |space, scene, row| {
            let (queue, mut buffer) = (scene.queue, vec![0; INLINE as usize]);
            let seen = queue::look_at(caller(space), queue.cell, &mut buffer);
            let (_, place) = seen.expect("to look").expect("an item");
            let taken = queue::take_at(caller(space), queue, row, place);
            assert!(taken.expect("to take"));
        },
    ));
    entries.push(change(
        "count a word got by the fast path",
        Start {
            count: 0,
            length: 8,
            ..START
        },
        ([&[7], &[]], [&[], &[]]),
        0,
        |space, queue| {
            // SAFETY: as above.
            let put =
                unsafe { queue::put_fast(&space.segment, me(space), queue.cell, &Fresh::Word(7)) };
            assert_eq!(put, Some(Put::Done));
            enroll(space, queue)
        },
        |space, scene, row| {
            // SAFETY: as above.
            let got = unsafe { queue::get_word(&space.segment, me(space), scene.queue.cell, row) };
            assert_eq!(got, Some(7));
        },
    ));
}

fn leasing(entries: &mut Vec<Entry>) {
    let two: [&[u8]; 2] = [&[0, 1], &[]];
    let one: [&[u8]; 2] = [&[1], &[]];
    let last: [&[u8]; 2] = [&[1, 0], &[]];
    for (name, length) in [("an item", SMALL), ("a large item", LARGE)] {
        let start = Start { length, ..START };
        entries.push(change(
            &format!("count the lease of {name}"),
            Start {
                in_block: length == SMALL,
                ..start
            },
            (two, two),
            0,
            |_, _| (),
            |space, scene, ()| {
                lease(space, scene.queue);
            },
        ));
        entries.push(change(
            &format!("count {name} whose lease is finished"),
            start,
            (two, one),
            0,
            lease,
            |space, scene, lease| {
                queue::finish(caller(space), scene.queue, lease).expect("to end");
            },
        ));
        entries.push(change(
            &format!("count {name} given back"),
            start,
            (two, two),
            0,
            lease,
            |space, scene, lease| {
                let queue = scene.queue;
                queue::give_back(caller(space), queue, lease).expect("to end");
            },
        ));
        entries.push(change(
            &format!("count {name} that is requeued"),
            start,
            (two, last),
            0,
            lease,
            |space, scene, lease| {
                let when = When::After(Duration::ZERO);
                queue::requeue(caller(space), scene.queue, lease, when).expect("to requeue");
            },
        ));
    }
    entries.push(change(
        "count a requeued item that is dropped",
        Start { count: 1, ..START },
        ([&[0], &[]], [&[], &[]]),
        0,
        |space, queue| {
            let (me, when) = (me(space), When::After(Duration::ZERO));
            let lease = lease(space, queue);
            queue::requeue(caller(space), queue, lease, when).expect("to requeue");
            lease.row.give(me);
        },
        |space, scene, ()| {
            let dropped = queue::drop_requeued(caller(space), scene.queue);
            assert!(dropped.expect("to drop"));
        },
    ));
}

fn going_back(entries: &mut Vec<Entry>) {
    for (name, length) in [("an item", SMALL), ("a large item", LARGE)] {
        let start = Start { length, ..START };
        // What a dead one had taken is lost with it, and counts no more.
        entries.push(change(
            &format!("count {name} got in a block"),
            start,
            ([&[0, 1], &[]], [&[1], &[]]),
            0,
            enroll,
            |space, scene, row| drop(get_block(space, scene.queue, row)),
        ));
        entries.push(change(
            &format!("count {name} put back"),
            start,
            ([&[1], &[]], [&[0, 1], &[]]),
            0,
            |space, queue| {
                let row = enroll(space, queue);
                (row, get_block(space, queue, row))
            },
            |space, scene, (row, block)| {
                queue::put_back(caller(space), scene.queue, row, &block).expect("to put back");
            },
        ));
    }
}

fn moving(entries: &mut Vec<Entry>) {
    for (name, order, beside, length) in [
        ("count an item that moves", Order::Fifo, 20, SMALL),
        ("count a large item that moves", Order::Fifo, 20, LARGE),
        (
            "count an item of a stack that moves",
            Order::Lifo,
            20,
            SMALL,
        ),
        (
            "count an item that moves to a queue that does not",
            Order::Fifo,
            0,
            SMALL,
        ),
    ] {
        let (before, left) = match order {
            Order::Lifo => ([1, 0], 0),
            _ => ([0, 1], 1),
        };
        let start = Start {
            order,
            beside,
            length,
            ..START
        };
        entries.push(change(
            name,
            start,
            ([&before, &[]], [&[left], &before[..1]]),
            0,
            lease,
            |space, scene, lease| {
                let queues = (scene.queue, scene.other);
                let put = queue::transfer(caller(space), queues, lease, None);
                assert_eq!(put.expect("to move"), Put::Done);
                lease.row.give(me(space));
            },
        ));
    }
    entries.push(change_both(
        "count an item that moves to its place in a priority queue",
        Start {
            order: Order::Least,
            count: 3,
            ..START
        },
        ([&[0, 1, 2], &[5]], [&[1, 2], &[0, 5]]),
        0,
        |space, scene| {
            assert_eq!(put(space, scene.other, Order::Least, 5, SMALL), Put::Done);
            let row = Row::reserve(caller(space)).expect("a row");
            let sift = sift(Order::Least);
            let leased = queue::lease(caller(space), scene.queue, row, sift.as_ref());
            leased.expect("to lease").expect("an item")
        },
        |space, scene, lease| {
            let (queues, moves) = ((scene.queue, scene.other), vec![(1, 0)]);
            let sift = Sift { moves, place: 0 };
            let put = queue::transfer(caller(space), queues, lease, Some(&sift));
            assert_eq!(put.expect("to move"), Put::Done);
            lease.row.give(me(space));
        },
    ));
    entries.push(change_both(
        "move an item to a queue that has no room for its bytes",
        Start { beside: 1, ..START },
        ([&[0, 1], &[5]], [&[0, 1], &[5]]),
        0,
        |space, scene| {
            assert_eq!(put(space, scene.other, Order::Fifo, 5, SMALL), Put::Done);
            lease(space, scene.queue)
        },
        |space, scene, lease| {
            let queues = (scene.queue, scene.other);
            let put = queue::transfer(caller(space), queues, lease, None);
            assert_eq!(put.expect("to move"), Put::Full);
        },
    ));
}

fn clearing(entries: &mut Vec<Entry>) {
    for (name, order, length, kept, before) in [
        (
            "count the items that are cleared",
            Order::Fifo,
            SMALL,
            0,
            vec![0, 1],
        ),
        (
            "count the large items that are cleared",
            Order::Fifo,
            LARGE,
            0,
            vec![0, 1],
        ),
        (
            "count the items of a stack that are cleared",
            Order::Lifo,
            SMALL,
            0,
            vec![1, 0],
        ),
        (
            "count the items that are cleared beside a lease",
            Order::Fifo,
            SMALL,
            1,
            vec![1],
        ),
    ] {
        let start = Start {
            order,
            length,
            ..START
        };
        entries.push(change(
            name,
            start,
            ([&before, &[]], [&[], &[]]),
            kept,
            |_, _| (),
            |space, scene, ()| {
                queue::clear(caller(space), scene.queue).expect("to clear");
                queue::free_cleared(space, me(space));
            },
        ));
    }
}

fn leaving(entries: &mut Vec<Entry>) {
    for (name, order, length) in [
        ("leave a queue that counts", Order::Fifo, SMALL),
        ("leave a queue that counts large items", Order::Fifo, LARGE),
        ("leave a stack that counts", Order::Lifo, SMALL),
        ("leave a tree that counts", Order::Least, SMALL),
    ] {
        entries.push(play(
            name,
            Ends::AsBefore,
            warm,
            move |space, ()| {
                warm(space);
                let scene = make(space, bounds(20, length), order);
                for number in 0..3 {
                    let put = put(space, scene.queue, order, number, length);
                    assert_eq!(put, Put::Done);
                }
                scene
            },
            |space, (), scene| {
                directory::leave(caller(space), scene.row).expect("to leave");
            },
            |_, ()| Ok(Outcome::Before),
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    putting(entries);
    getting(entries);
    leasing(entries);
    going_back(entries);
    moving(entries);
    clearing(entries);
    leaving(entries);
}
