//! Items on a lease: those that go back, move, or go with the queue.

use super::{LARGE, SMALL, START, Start, bounds, change, change_both, lease, put, sift};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::operations::queue::{make, own_row};
use crate::stage::{caller, me, warm};
use courtyard_core::directory;
use courtyard_core::holding::Row;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue::{self, Got, INLINE, Order, Put, Queue, Sift, When};
use courtyard_core::space::Space;
use std::time::Duration;

/// Takes the first item in a block.
fn get_block(space: &'static Space, queue: Queue, row: Row) -> PendingBlock<'static> {
    let (mut buffer, all) = (vec![0; INLINE as usize], |_| true);
    let got = queue::get_but(caller(space), queue, row, None, all, &mut buffer);
    match got.expect("to get").expect("an item") {
        Got::Block(block) => block,
        _ => panic!("an item in no block"),
    }
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
            own_row,
            |space, scene, row| drop(get_block(space, scene.queue, row)),
        ));
        entries.push(change(
            &format!("count {name} put back"),
            start,
            ([&[1], &[]], [&[0, 1], &[]]),
            0,
            |space, queue| {
                let row = own_row(space, queue);
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
    leasing(entries);
    going_back(entries);
    moving(entries);
    clearing(entries);
    leaving(entries);
}
