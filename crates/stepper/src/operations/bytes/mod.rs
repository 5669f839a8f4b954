//! Queues that are bounded in bytes: what they count is what their items are.

mod item;
mod lease;

use super::queue::{blocks, item, make};
use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{announce, announce_at, caller, is_free, told_apart, warm, was_woken_at};
use courtyard_core::holding::Row;
use courtyard_core::object;
use courtyard_core::queue::{
    self, Bounds, GET_LOCK, INLINE, Look, NewItem, Order, Put, Queue, ROOM, Seen, Sift,
};
use courtyard_core::space::Space;

const KIND: u8 = 20;
const SMALL: usize = 100;
const LARGE: usize = INLINE as usize + 400;

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

fn new<'a>(space: &'a Space, order: Order, parts: &'a [&'a [u8]]) -> NewItem<'a> {
    match order == Order::Fifo && parts[0].len() <= INLINE as usize {
        true => NewItem::Bytes(KIND, parts),
        false => queue::prepare(caller(space), KIND, parts).expect("a block"),
    }
}

/// Puts an item; into a tree as the greatest.
fn put(space: &Space, queue: Queue, order: Order, number: usize, length: usize) -> Put {
    let bytes = item(number, length);
    let parts = [bytes.as_slice()];
    let new = new(space, order, &parts);
    let put = if order == Order::Least {
        let place = queue::filled(&space.segment, queue.object);
        let moves = Vec::new();
        let sift = Sift { moves, place };
        queue::insert(caller(space), queue, &new, &sift)
    } else {
        queue::put(caller(space), queue, &new)
    };
    put.expect("to put")
}

/// How the least of three items goes.
fn sift(order: Order) -> Option<Sift> {
    let moves = vec![(0, 1)];
    (order == Order::Least).then_some(Sift { moves, place: 1 })
}

fn lease(space: &Space, queue: Queue) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let leased = queue::lease(caller(space), queue, row, None);
    leased.expect("to lease").expect("an item")
}

/// What is there, in the order in which it would be taken; the locks are free.
fn state(space: &Space, queue: Queue) -> Result<(Vec<u8>, u64), String> {
    is_free(space, queue.object.lock())?;
    is_free(space, queue.object + GET_LOCK)?;
    let look = Look::at(usize::MAX);
    let seen = queue::peek(caller(space), queue.object, look);
    let number = |seen| match seen {
        Seen::Bytes(_, bytes) => bytes[0],
        Seen::Word(word) => word as u8,
        Seen::Long(_) => panic!("an item that nobody put"),
    };
    let seen = seen.map_err(|error| error.to_string())?;
    let numbers = seen.into_iter().map(number).collect();
    Ok((numbers, queue::bytes(&space.segment, queue.object)))
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
                    shrinks.then(|| announce_at(space, made.queue.object + ROOM)),
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
            let base = scene.queue.object;
            let events = [base + object::EVENT, base + ROOM]
                .into_iter()
                .zip(scene.flagged);
            for (event, flagged) in events {
                if found == after && flagged.is_some() && !was_woken_at(space, event, flagged) {
                    return Err("it changed and nobody was woken".into());
                }
            }
            Ok(outcome)
        },
    )
}

pub fn add(entries: &mut Vec<Entry>) {
    item::add(entries);
    lease::add(entries);
}
