//! Items put and taken.

use super::{KIND, LARGE, SMALL, START, Start, change, put, sift};
use crate::entry::Entry;
use crate::operations::queue::{bytes_of, item, own_row};
use crate::stage::{caller, me};
use courtyard_core::holding::Row;
use courtyard_core::layout::UNIT;
use courtyard_core::queue::{self, Got, INLINE, Item, NewItem, Order, Put, Queue, Run};
use courtyard_core::space::Space;

/// So many items of this length fill a page.
const LONG: usize = 4000;
const PAGE: usize = 4;

fn get(space: &Space, queue: Queue, row: Row, order: Order) -> Option<u8> {
    let mut buffer = vec![0; INLINE as usize];
    let sift = sift(order);
    let got = queue::get(caller(space), queue, row, sift.as_ref(), &mut buffer);
    let got = got.expect("to get")?;
    Some(bytes_of(space, got, &buffer)[0])
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
            let (object, new_item) = (scene.queue.object, NewItem::Bytes(KIND, &parts));
            // SAFETY: the processes here have one thread.
            let put = unsafe { queue::put_fast(&space.segment, me(space), object, &new_item) };
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
                let object = scene.queue.object;
                // SAFETY: as above.
                let put = unsafe { queue::put_run(&space.segment, me(space), object, &records) };
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
            own_row,
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
        own_row,
        |space, scene, row| {
            let (segment, me, object) = (&space.segment, me(space), scene.queue.object);
            let mut buffer = [0; INLINE as usize];
            // SAFETY: as above.
            let got = unsafe { queue::get_fast(segment, me, object, row, &mut buffer) };
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
            own_row,
            move |space, scene, row| {
                let (segment, me, object) = (&space.segment, me(space), scene.queue.object);
                let (mut buffer, none) = ([0; UNIT as usize], |_| false);
                // SAFETY: as above.
                let run =
                    unsafe { queue::get_run(segment, me, object, row, max, none, &mut buffer) };
                assert!(matches!(run, Run::Taken(_)), "{run:?}");
            },
        ));
    }
    entries.push(change(
        "count an item looked at and taken",
        START,
        ([&[0, 1], &[]], [&[1], &[]]),
        0,
        own_row,
        |space, scene, row| {
            let (queue, mut buffer) = (scene.queue, vec![0; INLINE as usize]);
            let seen = queue::look_at(caller(space), queue.object, &mut buffer);
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
            let put = unsafe {
                queue::put_fast(&space.segment, me(space), queue.object, &NewItem::Word(7))
            };
            assert_eq!(put, Some(Put::Done));
            own_row(space, queue)
        },
        |space, scene, row| {
            // SAFETY: as above.
            let got =
                unsafe { queue::get_word(&space.segment, me(space), scene.queue.object, row) };
            assert_eq!(got, Some(7));
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    putting(entries);
    getting(entries);
}
