//! Items put, taken and given back.

use super::{KIND, LARGE, PAGE, bytes_of, change, change_from, get, item, own_row, put, row};
use crate::entry::Entry;
use crate::stage::{caller, me};
use courtyard_core::holding::Row;
use courtyard_core::layout::UNIT;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue::{self, Got, INLINE, Item, Items, NewItem, Put, Queue, Run};
use courtyard_core::space::Space;

/// Items of a word each.
fn words(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|word| word.to_ne_bytes().to_vec()).collect()
}

fn put_run<'a>(space: &Space, queue: Queue, items: impl IntoIterator<Item = Item<'a>>) {
    let mut records = Vec::new();
    for item in items {
        assert!(queue::add_record(&mut records, item));
    }
    // SAFETY: the processes here have one thread.
    let put = unsafe { queue::put_run(&space.segment, me(space), queue.object, &records) };
    assert_eq!(put, records.len());
}

fn putting(entries: &mut Vec<Entry>) {
    for (name, count, length, stack) in [
        ("put the first item", 0, 100, false),
        ("put an item", 2, 100, false),
        ("put a large item", 1, LARGE, false),
        ("put an item on a new page", PAGE, 4000, false),
        ("put a large item on a stack", 1, LARGE, true),
        ("put the first item on a stack", 0, 100, true),
    ] {
        entries.push(change(
            name,
            (0, stack),
            row(count, length),
            row(count + 1, length),
            |_, _| (),
            move |space, queue, ()| {
                assert_eq!(put(space, queue, &item(count, length), stack), Put::Done);
            },
        ));
    }
    entries.push(change(
        "put an item by the fast path",
        (0, false),
        row(1, 100),
        row(2, 100),
        |_, _| (),
        |space, queue, ()| {
            let item = item(1, 100);
            let parts = [item.as_slice()];
            let new_item = NewItem::Bytes(KIND, &parts);
            // SAFETY: the processes here have one thread.
            let put =
                unsafe { queue::put_fast(&space.segment, me(space), queue.object, &new_item) };
            assert_eq!(put, Some(Put::Done));
        },
    ));
    entries.push(change(
        "put words at once",
        (0, false),
        words(1),
        words(4),
        |_, _| (),
        |space, queue, ()| put_run(space, queue, [1, 2, 3].map(Item::Word)),
    ));
    entries.push(change(
        "put items at once",
        (0, false),
        row(1, 100),
        row(4, 100),
        |_, _| (),
        |space, queue, ()| {
            let items = row(4, 100);
            put_run(
                space,
                queue,
                [1, 2, 3].map(|n| Item::Bytes(KIND, &items[n])),
            );
        },
    ));
    for (name, length, fit) in [
        ("put items at once of which two fit", 100, 2),
        ("put items at once of which none fits", 400, 0),
    ] {
        let items = row(4, length);
        let before = row(PAGE, 4000);
        let after = [&before[..], &items[..fit]].concat();
        entries.push(change(
            name,
            (0, false),
            before,
            after,
            |_, _| (),
            move |space, queue, ()| {
                let mut records = Vec::new();
                for item in &items {
                    assert!(queue::add_record(&mut records, Item::Bytes(KIND, item)));
                }
                // SAFETY: the processes here have one thread.
                let put =
                    unsafe { queue::put_run(&space.segment, me(space), queue.object, &records) };
                assert_eq!(put, records.len() / items.len() * fit);
            },
        ));
    }
    entries.push(change(
        "put into a full queue",
        (2, false),
        row(2, 100),
        row(2, 100),
        |_, _| (),
        |space, queue, ()| assert_eq!(put(space, queue, &item(3, 100), false), Put::Full),
    ));
    // Its only page is used to its end, and all of it is taken.
    entries.push(change_from(
        "put an item on the same page again",
        (0, false),
        row(PAGE, 4000),
        (Vec::new(), row(1, 4000)),
        |space, queue| {
            let row = own_row(space, queue);
            while get(space, queue, row).is_some() {}
        },
        |space, queue, ()| assert_eq!(put(space, queue, &item(0, 4000), false), Put::Done),
    ));
    // Two pages that were in use, and are not: the item goes on, and the extra page goes.
    entries.push(change(
        "put an item where pages are too many",
        (0, false),
        row(PAGE, 4000),
        row(PAGE + 1, 4000),
        |space, queue| {
            let row = own_row(space, queue);
            while get(space, queue, row).is_some() {}
            for number in 0..6 * PAGE {
                put(space, queue, &item(number, 4000), false);
            }
            while get(space, queue, row).is_some() {}
            for number in 0..PAGE {
                put(space, queue, &item(number, 4000), false);
            }
        },
        |space, queue, ()| {
            put(space, queue, &item(PAGE, 4000), false);
        },
    ));
}

fn getting(entries: &mut Vec<Entry>) {
    for (name, count, length, stack) in [
        ("get the last item", 1, 100, false),
        ("get an item", 3, 100, false),
        ("get a large item", 2, LARGE, false),
        ("get an item from the next page", PAGE + 2, 4000, false),
        ("get an item from a stack", 2, 100, true),
    ] {
        let before = row(count, length);
        let after = if stack {
            before[..count - 1].to_vec()
        } else {
            before[1..].to_vec()
        };
        entries.push(change(
            name,
            (0, stack),
            before,
            after,
            own_row,
            |space, queue, row| assert!(get(space, queue, row).is_some()),
        ));
    }
    entries.push(change(
        "get an item by the fast path",
        (0, false),
        row(2, 100),
        row(2, 100)[1..].to_vec(),
        own_row,
        |space, queue, row| {
            let mut buffer = [0; INLINE as usize];
            let (segment, me) = (&space.segment, me(space));
            // SAFETY: the processes here have one thread.
            let got = unsafe { queue::get_fast(segment, me, queue.object, row, &mut buffer) };
            assert!(matches!(got, Some(Some(Got::Bytes(KIND, 100)))));
        },
    ));
    entries.push(change(
        "get a word by the fast path",
        (0, false),
        words(4),
        words(4)[1..].to_vec(),
        own_row,
        |space, queue, row| {
            // SAFETY: as above.
            let got = unsafe { queue::get_word(&space.segment, me(space), queue.object, row) };
            assert_eq!(got, Some(0));
        },
    ));
    // Of pages that are full, as many as the first has; of words, fewer than there are.
    for (name, count, length, max, taken) in [
        ("get items at once", 3, 100, 9, 3),
        ("get some items at once", 4, 100, 3, 3),
        ("get the items of a page at once", PAGE + 1, 4000, 9, PAGE),
    ] {
        entries.push(change(
            name,
            (0, false),
            row(count, length),
            row(count, length)[taken..].to_vec(),
            own_row,
            move |space, queue, at| {
                let (segment, me) = (&space.segment, me(space));
                let (mut buffer, none) = ([0; UNIT as usize], |_| false);
                // SAFETY: as above.
                let run = unsafe {
                    queue::get_run(segment, me, queue.object, at, max, none, &mut buffer)
                };
                let Run::Taken(bytes) = run else {
                    panic!("{run:?}");
                };
                let items = Items(&buffer[..bytes]).map(|item| match item {
                    Item::Bytes(KIND, bytes) => bytes.to_vec(),
                    other => panic!("{other:?}"),
                });
                assert_eq!(items.collect::<Vec<_>>(), row(taken, length));
            },
        ));
    }
    entries.push(change(
        "call an item done",
        (0, false),
        row(2, 100),
        row(2, 100)[1..].to_vec(),
        |space, queue| {
            let row = own_row(space, queue);
            get(space, queue, row).expect("an item");
            row
        },
        |space, queue, row| {
            let done = queue::task_done(caller(space), queue, row);
            assert!(done.expect("to be done"));
        },
    ));
}

/// Takes the first item in a block.
fn get_block(space: &'static Space, queue: Queue, row: Row) -> PendingBlock<'static> {
    let mut buffer = vec![0; INLINE as usize];
    let all = |_| true;
    let got = queue::get_but(caller(space), queue, row, None, all, &mut buffer);
    match got.expect("to get").expect("an item") {
        Got::Block(block) => block,
        _ => panic!("an item in no block"),
    }
}

fn giving_back(entries: &mut Vec<Entry>) {
    for (name, length, stack) in [
        ("an item", 100, false),
        ("a large item", LARGE, false),
        ("an item of a stack", 100, true),
    ] {
        let (first, mut less) = (row(3, length), row(3, length));
        if stack {
            less.pop();
        } else {
            less.remove(0);
        }
        entries.push(change(
            &format!("get {name} in a block"),
            (0, stack),
            first.clone(),
            less.clone(),
            own_row,
            |space, queue, row| drop(get_block(space, queue, row)),
        ));
        entries.push(change_from(
            &format!("put {name} back"),
            (0, stack),
            first.clone(),
            (less, first),
            |space, queue| {
                let row = own_row(space, queue);
                (row, get_block(space, queue, row))
            },
            |space, queue, (row, block)| {
                queue::put_back(caller(space), queue, row, &block).expect("to put back");
            },
        ));
    }
    entries.push(change_from(
        "put an item back later",
        (0, false),
        row(3, 100),
        (row(3, 100)[1..].to_vec(), row(3, 100)),
        |space, queue| {
            let row = own_row(space, queue);
            (row, get_block(space, queue, row))
        },
        |space, queue, (row, block)| {
            queue::put_back_later(space, me(space), queue, row, block);
        },
    ));
    entries.push(change(
        "look at an item and take it",
        (0, false),
        row(3, 100),
        row(3, 100)[1..].to_vec(),
        own_row,
        |space, queue, row| {
            let mut buffer = vec![0; INLINE as usize];
            let seen = queue::look_at(caller(space), queue.object, &mut buffer);
            let (seen, place) = seen.expect("to look").expect("an item");
            assert_eq!(bytes_of(space, seen, &buffer), item(0, 100));
            let taken = queue::take_at(caller(space), queue, row, place);
            assert!(taken.expect("to take"));
            let again = queue::take_at(caller(space), queue, row, place);
            assert!(!again.expect("to look"));
        },
    ));
}

fn clearing(entries: &mut Vec<Entry>) {
    for (name, count, length, stack) in [
        ("clear a queue", 3, 100, false),
        ("clear a queue of large items", 3, LARGE, false),
        ("clear a queue of pages", PAGE + 1, 4000, false),
        ("clear a stack", 3, 100, true),
        ("clear an empty queue", 0, 0, false),
    ] {
        entries.push(change(
            name,
            (0, stack),
            row(count, length),
            Vec::new(),
            |_, _| (),
            move |space, queue, ()| {
                let me = me(space);
                let gone = queue::clear(caller(space), queue);
                assert_eq!(gone.expect("to clear"), count as u64);
                queue::free_cleared(space, me);
            },
        ));
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    putting(entries);
    getting(entries);
    giving_back(entries);
    clearing(entries);
}
