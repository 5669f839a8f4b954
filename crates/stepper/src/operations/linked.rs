//! Items that keep objects: put, taken, leased, dropped, given up with what they keep.

use super::queue::{make, own_row};
use crate::entry::{Ends, Entry, OrText, play};
use crate::stage::{caller, is_free, leave, make as make_object, me, told_apart, warm};
use courtyard_core::holding::Row;
use courtyard_core::layout::superblock;
use courtyard_core::object::SCALAR;
use courtyard_core::queue::{
    self, GET_LOCK, Got, INLINE, Look, NewItem, Order, Put, Queue, Seen, Sift, length_linked,
};
use courtyard_core::space::Space;
use courtyard_core::{directory, link};

const KIND: u8 = 64;
const SMALL: &[u8] = &[7; 100];
const LARGE: &[u8] = &[7; 40_000];

/// How many items there are, and how many objects.
type State = (usize, usize);

/// Puts an item that alone keeps so many new objects.
fn entrust(space: &Space, queue: Queue, order: Order, count: usize, bytes: &[u8]) {
    let made: Vec<_> = (0..count).map(|_| make_object(space, SCALAR, 0)).collect();
    let objects: Vec<_> = made.iter().map(|made| made.id).collect();
    let new = queue::prepare_linked(caller(space), KIND, &objects, &[bytes]);
    let new = new.expect("a block");
    for made in made {
        leave(space, made.row);
    }
    put(space, queue, order, &new);
}

fn put(space: &Space, queue: Queue, order: Order, new: &NewItem) {
    let put = if order == Order::Least {
        let place = queue::filled(&space.segment, queue.object);
        let moves = Vec::new();
        let sift = Sift { moves, place };
        queue::insert(caller(space), queue, new, &sift)
    } else {
        queue::put(caller(space), queue, new)
    };
    assert_eq!(put.expect("to put"), Put::Done);
}

fn first(order: Order) -> Option<Sift> {
    let moves = Vec::new();
    (order == Order::Least).then_some(Sift { moves, place: 0 })
}

fn lease(space: &Space, queue: Queue, order: Order) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let sift = first(order);
    let leased = queue::lease(caller(space), queue, row, sift.as_ref());
    leased.expect("to lease").expect("an item")
}

fn state(space: &Space, queue: Queue) -> Result<State, String> {
    is_free(space, queue.object.lock())?;
    is_free(space, queue.object + GET_LOCK)?;
    let mut look = Look::at(usize::MAX);
    look.longest = u64::MAX;
    let seen = queue::peek(caller(space), queue.object, look).or_text()?;
    for item in &seen {
        let Seen::Bytes(KIND, bytes) = item else {
            return Err(format!("{item:?} was never put"));
        };
        let links = link::count(bytes, bytes.len() as u64).or_text()?;
        let head = link::head(links) as usize;
        if links == 0 || bytes[head..] != *SMALL && bytes[head..] != *LARGE {
            return Err("other bytes".into());
        }
    }
    let objects = caller(space).run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        Ok(directory::list(operation)?.len())
    });
    Ok((seen.len(), objects.or_text()?))
}

/// An operation on a queue with an item that keeps `count` objects, or without one.
fn change<R: 'static>(
    name: &str,
    (order, count, bytes): (Order, usize, &'static [u8]),
    (before, after): (State, State),
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, Queue, R) + 'static,
) -> Entry {
    let ends = match before == after {
        true => Ends::AsBefore,
        false => Ends::Changed,
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let scene = make(space, 0, order);
            // A tree has its room.
            entrust(space, scene.queue, order, 1, SMALL);
            queue::clear(caller(space), scene.queue).expect("to clear");
            queue::free_cleared(space, me(space));
            if before.0 > 0 {
                entrust(space, scene.queue, order, count, bytes);
            }
            scene.queue
        },
        move |space, &queue| {
            warm(space);
            ready(space, queue)
        },
        move |space, &queue, ready| act(space, queue, ready),
        move |space, &queue| told_apart(&state(space, queue)?, &before, &after),
    )
}

fn putting(entries: &mut Vec<Entry>) {
    for (name, order, bytes) in [
        ("put an item that keeps an object", Order::Fifo, SMALL),
        ("put a large item that keeps an object", Order::Fifo, LARGE),
        ("stack an item that keeps an object", Order::Lifo, SMALL),
    ] {
        entries.push(change(
            name,
            (order, 1, bytes),
            ((0, 1), (1, 2)),
            |space, _| {
                let made = make_object(space, SCALAR, 0);
                let objects = [made.id];
                let new = queue::prepare_linked(caller(space), KIND, &objects, &[bytes]);
                leave(space, made.row);
                new.expect("a block")
            },
            move |space, queue, new| put(space, queue, order, &new),
        ));
    }
    entries.push(change(
        "drop an item that was to keep objects",
        (Order::Fifo, 1, SMALL),
        ((0, 1), (0, 1)),
        |_, _| (),
        |space, _, ()| {
            let made = [0, 1].map(|_| make_object(space, SCALAR, 0));
            let objects = made.map(|made| made.id);
            let new = queue::prepare_linked(caller(space), KIND, &objects, &[SMALL]);
            assert!(length_linked(&objects, &[SMALL]) < INLINE);
            drop(new.expect("a block"));
            for made in made {
                leave(space, made.row);
            }
        },
    ));
}

fn taking(entries: &mut Vec<Entry>) {
    for (name, order, count, bytes) in [
        ("an item that keeps objects", Order::Fifo, 3, SMALL),
        ("a large item that keeps an object", Order::Fifo, 1, LARGE),
        (
            "an item of a stack that keeps an object",
            Order::Lifo,
            1,
            SMALL,
        ),
        (
            "the least item, which keeps an object",
            Order::Least,
            1,
            SMALL,
        ),
    ] {
        let states = ((1, 1 + count), (0, 1));
        entries.push(change(
            &format!("get {name}"),
            (order, count, bytes),
            states,
            own_row,
            move |space, queue, row| {
                let (sift, mut buffer) = (first(order), vec![0; INLINE as usize]);
                let sift = sift.as_ref();
                let got = queue::get(caller(space), queue, row, sift, &mut buffer);
                let Ok(Some(Got::Block(block))) = got else {
                    panic!("no block");
                };
                drop(block);
            },
        ));
        entries.push(change(
            &format!("finish {name}"),
            (order, count, bytes),
            states,
            move |space, queue| lease(space, queue, order),
            |space, queue, lease| {
                queue::finish(caller(space), queue, lease).expect("to finish");
                lease.row.give(me(space));
            },
        ));
        entries.push(change(
            &format!("clear {name}"),
            (order, count, bytes),
            states,
            |_, _| (),
            |space, queue, ()| {
                let cleared = queue::clear(caller(space), queue);
                assert_eq!(cleared.expect("to clear"), 1);
                queue::free_cleared(space, me(space));
            },
        ));
        entries.push(change(
            &format!("leave a queue with {name}"),
            (order, count, bytes),
            ((0, 1), (0, 1)),
            |_, _| (),
            move |space, _, ()| {
                let mine = make(space, 0, order);
                entrust(space, mine.queue, order, count, bytes);
                leave(space, mine.made().row);
            },
        ));
    }
    entries.push(change(
        "lease an item that keeps an object and put it back",
        (Order::Fifo, 1, SMALL),
        ((1, 2), (1, 2)),
        |_, _| (),
        |space, queue, ()| {
            let lease = lease(space, queue, Order::Fifo);
            queue::give_back(caller(space), queue, lease).expect("to give back");
            lease.row.give(me(space));
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    putting(entries);
    taking(entries);
}
