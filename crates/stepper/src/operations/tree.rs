//! Items of a priority queue, put in and taken out under its turn.

use super::queue::{bytes_of, contents, item, make, own_row};
use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{announce, caller, fill, is_free, me, told_apart, warm, with_wake};
use courtyard_core::HOOKS;
use courtyard_core::directory;
use courtyard_core::heap;
use courtyard_core::holding::Row;
use courtyard_core::object::{BLOCK_TAG, TAG_MASK};
use courtyard_core::queue::{self, GET_LOCK, INLINE, NewItem, Order, Put, Queue, Sift};
use courtyard_core::space::Space;

const KIND: u8 = 20;
const SMALL: usize = 100;
const LARGE: usize = INLINE as usize + 400;
/// So many items fit into the first tree.
const ROOM: usize = 64;

type Items = Vec<Vec<u8>>;

/// Which item is less: the one whose number, its first byte, is.
fn number(space: &Space, word: u64) -> u8 {
    match word & TAG_MASK {
        BLOCK_TAG => contents(space, heap::payload(&space.segment, word))[0],
        _ => word_number(word),
    }
}

/// Items without bytes are words that say their number.
fn word_of(number: u8) -> u64 {
    u64::from(number) << 8 | 1
}

fn word_number(word: u64) -> u8 {
    (word >> 8) as u8
}

fn word(space: &Space, queue: Queue, index: u64) -> u64 {
    queue::word(&space.segment, queue.object, index).expect("a word of the tree")
}

/// What moves up when a new item comes.
fn rise(space: &Space, queue: Queue, new: u8) -> Sift {
    let (mut moves, mut place) = (Vec::new(), queue::filled(&space.segment, queue.object));
    while place > 0 {
        let parent = (place - 1) / 2;
        if number(space, word(space, queue, parent)) <= new {
            break;
        }
        moves.push((place, parent));
        place = parent;
    }
    Sift { moves, place }
}

/// What moves up when the first one goes, and where the last one then belongs.
fn sink(space: &Space, queue: Queue) -> Option<Sift> {
    let left = queue::filled(&space.segment, queue.object).checked_sub(1)?;
    let number = |index| number(space, word(space, queue, index));
    let (mut moves, mut place) = (Vec::new(), 0);
    loop {
        let children = [2 * place + 1, 2 * place + 2];
        let least = children.into_iter().filter(|&child| child < left);
        let Some(child) = least.min_by_key(|&child| number(child)) else {
            break;
        };
        if number(child) >= number(left) {
            break;
        }
        moves.push((place, child));
        place = child;
    }
    Some(Sift { moves, place })
}

fn take_turn(space: &Space, queue: Queue) {
    let taken = queue::try_turn(&space.segment, me(space), queue.object, 0);
    assert!(taken.expect("an answer"), "the turn is another's");
}

fn put(space: &Space, queue: Queue, number: u8, length: usize) {
    let bytes = item(usize::from(number), length);
    let new_item = match length {
        0 => NewItem::Word(word_of(number)),
        _ => queue::prepare(caller(space), KIND, &[&bytes]).expect("a block"),
    };
    take_turn(space, queue);
    let sift = rise(space, queue, number);
    let put = queue::insert(caller(space), queue, &new_item, &sift);
    assert_eq!(put.expect("to put"), Put::Done);
    queue::end_turn(&space.segment, queue.object);
}

fn get(space: &Space, queue: Queue, row: Row) -> Option<Vec<u8>> {
    let mut buffer = vec![0; INLINE as usize];
    take_turn(space, queue);
    let sift = sink(space, queue);
    let sift = sift.as_ref();
    let got = queue::get(caller(space), queue, row, sift, &mut buffer);
    queue::end_turn(&space.segment, queue.object);
    got.expect("to get").map(|got| match got {
        queue::Got::Word(word) => vec![word_number(word)],
        got => bytes_of(space, got, &buffer),
    })
}

fn lease(space: &Space, queue: Queue) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    take_turn(space, queue);
    let sift = sink(space, queue);
    let leased = queue::lease(caller(space), queue, row, sift.as_ref());
    queue::end_turn(&space.segment, queue.object);
    leased.expect("to lease").expect("an item")
}

/// All items, the least first; all locks are free.
fn items(space: &Space, queue: Queue) -> Result<Items, String> {
    let (counted, leased) = queue::counts(&space.segment, queue.object);
    for lock in [
        queue.object.lock(),
        queue.object + GET_LOCK,
        queue::turn(queue.object),
    ] {
        is_free(space, lock)?;
    }
    let row = own_row(space, queue);
    let items: Items = std::iter::from_fn(|| get(space, queue, row)).collect();
    match (items.len() as u64, 0) == (counted, leased) {
        true => Ok(items),
        false => Err(format!(
            "counted {counted}, leased {leased}: {}",
            items.len()
        )),
    }
}

fn blocks(space: &Space, queue: Queue) -> Result<Vec<u64>, String> {
    let root = directory::root(&space.segment, queue.id).or_text()?;
    Ok((HOOKS.blocks)(&space.segment, root.0).or_text()?.blocks)
}

/// An item as it comes out.
fn expected(number: u8, length: usize) -> Vec<u8> {
    item(usize::from(number), length.max(1))
}

/// An operation on a priority queue of items of these numbers, put in in this order.
fn change<R: 'static>(
    name: &str,
    length: usize,
    numbers: Vec<u8>,
    after: Vec<u8>,
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, Queue, R) + 'static,
) -> Entry {
    let sorted = |numbers: &[u8]| -> Items {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        numbers
            .iter()
            .map(|&number| expected(number, length))
            .collect()
    };
    let (before, after) = (sorted(&numbers), sorted(&after));
    let ends = if before == after {
        Ends::AsBefore
    } else {
        Ends::Changed
    };
    let grows = after.len() > before.len();
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let scene = make(space, 0, Order::Least);
            numbers
                .iter()
                .for_each(|&number| put(space, scene.queue, number, length));
            let flagged = grows.then(|| announce(space, scene.made()));
            let blocks = blocks(space, scene.queue).expect("blocks");
            (scene, blocks, flagged)
        },
        move |space, (scene, ..)| {
            warm(space);
            ready(space, scene.queue)
        },
        move |space, (scene, ..), state| act(space, scene.queue, state),
        move |space, (scene, had, flagged)| {
            let other = blocks(space, scene.queue)? != *had;
            let outcome = match told_apart(&items(space, scene.queue)?, &before, &after)? {
                Outcome::Before if other && before != after => Outcome::Prepared, // a larger tree
                outcome => outcome,
            };
            match flagged {
                None => Ok(outcome),
                flagged => with_wake(outcome, space, scene.made(), *flagged),
            }
        },
    )
}

fn give_back(space: &Space, queue: Queue, lease: queue::Lease) {
    let given = queue::give_back(caller(space), queue, lease);
    given.expect("to give back");
}

pub fn add(entries: &mut Vec<Entry>) {
    for (name, length, numbers, new) in [
        ("insert the first item", SMALL, vec![], 3),
        ("insert the least item", SMALL, vec![2, 3, 5, 4, 6, 7, 8], 1),
        ("insert a large item", LARGE, vec![2, 3], 1),
        (
            "insert an item into a larger tree",
            0,
            (0..ROOM as u8).collect(),
            10,
        ),
    ] {
        let after = [numbers.clone(), vec![new]].concat();
        let none = |_: &'static Space, _| ();
        let act = move |space: &'static Space, queue, ()| put(space, queue, new, length);
        entries.push(change(name, length, numbers, after, none, act));
    }
    for (name, length) in [("", SMALL), (" of words", 0), (" of large ones", LARGE)] {
        entries.push(change(
            &format!("get the least item{name}"),
            length,
            vec![1, 2, 3, 5, 4, 6, 7],
            vec![2, 3, 5, 4, 6, 7],
            own_row,
            |space, queue, row| assert!(get(space, queue, row).is_some()),
        ));
    }
    let three = || vec![1, 2, 3];
    entries.push(change(
        "lease the least item",
        SMALL,
        three(),
        three(),
        |_, _| (),
        |space, queue, ()| {
            lease(space, queue);
        },
    ));
    entries.push(change(
        "get the least item in a full space",
        SMALL,
        three(),
        vec![2, 3],
        |space, _| fill(space),
        |space, queue, held| {
            let row = own_row(space, queue);
            assert!(get(space, queue, row).is_some());
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "give the least item back",
        SMALL,
        three(),
        three(),
        lease,
        give_back,
    ));
    entries.push(change(
        "finish the lease of the least item",
        SMALL,
        three(),
        vec![2, 3],
        lease,
        |space, queue, lease| {
            queue::finish(caller(space), queue, lease).expect("to finish");
        },
    ));
    entries.push(play(
        "leave a priority queue of items",
        Ends::AsBefore,
        warm,
        |space, ()| {
            warm(space);
            let scene = make(space, 0, Order::Least);
            put(space, scene.queue, 1, 0);
            put(space, scene.queue, 2, LARGE);
            scene
        },
        |space, (), scene| {
            directory::leave(caller(space), scene.row).expect("to leave");
        },
        |_, ()| Ok(Outcome::Before),
    ));
}
