//! Items put, taken, leased and returned; pages that come and go.

mod item;
mod lease;

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, caller, is_free, told_apart, warm, with_wake};
use courtyard_core::holding::Row;
use courtyard_core::queue::{self, Bounds, GET_LOCK, Got, INLINE, NewItem, Order, Put, Queue};
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, directory, object};

const KIND: u8 = 20;

/// Items of this many bytes lie in blocks.
const LARGE: usize = INLINE as usize + 400;

/// So many items of 4000 bytes fill a page of 16 KiB; the next one goes to another.
const PAGE: usize = 4;

#[derive(Clone, Copy)]
pub struct Scene {
    pub queue: Queue,
    pub row: u64,
    flagged: Option<u64>,
    blocks: usize,
}

impl Scene {
    pub fn made(&self) -> Made {
        Made {
            id: self.queue.id,
            row: self.row,
            base: self.queue.object,
        }
    }
}

pub fn make(space: &Space, bounds: impl Into<Bounds>, order: Order) -> Scene {
    let made = queue::create(caller(space), bounds, order);
    let (id, row) = made.expect("a queue");
    let (object, ..) = object::open(&space.segment, id).expect("the queue");
    let queue = Queue { object, id };
    Scene {
        queue,
        row,
        flagged: None,
        blocks: 0,
    }
}

/// How many blocks it consists of.
pub fn blocks(space: &Space, queue: Queue) -> Result<usize, String> {
    let root = directory::root(&space.segment, queue.id).or_text()?;
    let blocks = (HOOKS.blocks)(&space.segment, root.0).or_text()?.blocks;
    Ok(blocks.len())
}

pub fn item(number: usize, length: usize) -> Vec<u8> {
    vec![number as u8; length]
}

fn put(space: &Space, queue: Queue, bytes: &[u8], stack: bool) -> Put {
    let parts = [bytes];
    let new = if stack || bytes.len() > INLINE as usize {
        queue::prepare(caller(space), KIND, &parts).expect("a block")
    } else {
        NewItem::Bytes(KIND, &parts)
    };
    queue::put(caller(space), queue, &new).expect("to put")
}

fn put_word(space: &Space, queue: Queue, word: u64) {
    let put = queue::put(caller(space), queue, &NewItem::Word(word));
    assert_eq!(put.expect("to put"), Put::Done);
}

pub fn own_row(space: &Space, queue: Queue) -> Row {
    let row = Row::reserve(caller(space)).expect("a row");
    queue::count_in(caller(space), queue, row).expect("to count in");
    row
}

pub fn bytes_of(space: &Space, got: Got, buffer: &[u8]) -> Vec<u8> {
    match got {
        Got::Word(word) => word.to_ne_bytes().to_vec(),
        Got::Bytes(_, length) => buffer[..length].to_vec(),
        Got::Block(block) => contents(space, block.payload()),
    }
}

pub fn contents(space: &Space, payload: u64) -> Vec<u8> {
    let (_, at, length) = queue::contents(&space.segment, payload).expect("contents");
    let mut bytes = vec![0; length as usize];
    space.segment.copy_out(at, &mut bytes);
    bytes
}

fn get(space: &Space, queue: Queue, row: Row) -> Option<Vec<u8>> {
    let mut buffer = vec![0; INLINE as usize];
    let got = queue::get(caller(space), queue, row, None, &mut buffer);
    got.expect("to get")
        .map(|got| bytes_of(space, got, &buffer))
}

/// Whether the next item lies in the ring itself.
fn is_ring_first(space: &Space, queue: Queue) -> bool {
    let mut buffer = vec![0; INLINE as usize];
    let seen = queue::look_at(caller(space), queue.object, &mut buffer);
    seen.expect("to look").is_some()
}

/// All items, in their order; what is open is what is there, and both locks are free.
fn items(space: &Space, queue: Queue) -> Result<Vec<Vec<u8>>, String> {
    let segment = &space.segment;
    let (counted, leased) = queue::counts(segment, queue.object);
    let open = queue::unfinished(segment, queue.object);
    let row = own_row(space, queue);
    let mut items = Vec::new();
    while let Some(item) = get(space, queue, row) {
        items.push(item);
    }
    is_free(space, queue.object.lock())?;
    is_free(space, queue.object + GET_LOCK)?;
    match (items.len() as u64, 0, items.len() as u64) {
        expected if expected == (counted, leased, open) => Ok(items),
        expected => Err(format!(
            "counted {counted}, leased {leased}, open {open}: expected {expected:?}"
        )),
    }
}

/// An operation on a queue that holds `before`; one process has it open, and a sleeper waits.
fn change<R: 'static>(
    name: &str,
    (maximum, stack): (u64, bool),
    before: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, Queue, R) + 'static,
) -> Entry {
    let first = before.clone();
    change_from(name, (maximum, stack), first, (before, after), ready, act)
}

/// As `change`, of a queue that began with `first`: `ready` may have taken some of it.
fn change_from<R: 'static>(
    name: &str,
    (maximum, stack): (u64, bool),
    first: Vec<Vec<u8>>,
    (before, after): (Vec<Vec<u8>>, Vec<Vec<u8>>),
    ready: impl Fn(&'static Space, Queue) -> R + 'static,
    act: impl Fn(&'static Space, Queue, R) + 'static,
) -> Entry {
    let (before, after) = match stack {
        true => (reversed(&before), reversed(&after)),
        false => (before, after),
    };
    let grows = after.len() > before.len();
    // What the dead one had comes back. What a lease took from the ring comes back in a block.
    let leases = name.starts_with("lease an item");
    let ends = if before == after && !leases {
        Ends::AsBefore
    } else {
        Ends::Changed
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let order = if stack { Order::Lifo } else { Order::Fifo };
            let mut scene = make(space, maximum, order);
            for item in &first {
                match <[u8; 8]>::try_from(item.as_slice()) {
                    Ok(word) => put_word(space, scene.queue, u64::from_ne_bytes(word)),
                    Err(_) => assert_eq!(put(space, scene.queue, item, stack), Put::Done),
                }
            }
            if grows {
                scene.flagged = Some(announce(space, scene.made()));
            }
            scene.blocks = blocks(space, scene.queue).expect("blocks");
            scene
        },
        move |space, scene| {
            warm(space);
            ready(space, scene.queue)
        },
        move |space, scene, state| act(space, scene.queue, state),
        move |space, scene| {
            let count = blocks(space, scene.queue)?;
            let more = count > scene.blocks;
            let came_back = leases && !is_ring_first(space, scene.queue);
            let found = items(space, scene.queue)?;
            let outcome = match told_apart(&found, &before, &after)? {
                Outcome::Before if came_back => Outcome::After,
                Outcome::Before if more && before != after => Outcome::Prepared, // a page
                Outcome::Before if count < scene.blocks => Outcome::Prepared,    // it made room
                outcome => outcome,
            };
            match scene.flagged {
                None => Ok(outcome),
                flagged => with_wake(outcome, space, scene.made(), flagged),
            }
        },
    )
}

fn reversed(items: &[Vec<u8>]) -> Vec<Vec<u8>> {
    items.iter().rev().cloned().collect()
}

fn row(count: usize, length: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| item(number, length)).collect()
}

fn living(entries: &mut Vec<Entry>) {
    entries.push(play(
        "create a queue",
        Ends::AsBefore,
        warm,
        |space, ()| warm(space),
        |space, (), ()| {
            make(space, 0, Order::Fifo);
        },
        |_, ()| Ok(Outcome::Before),
    ));
    for (name, count, length) in [
        ("leave an empty queue", 0, 0),
        ("leave a queue of items", 3, 100),
        ("leave a queue of large items", 3, LARGE),
        ("leave a queue of pages", PAGE + 1, 4000),
    ] {
        entries.push(play(
            name,
            Ends::AsBefore,
            warm,
            move |space, ()| {
                warm(space);
                let scene = make(space, 0, Order::Fifo);
                for item in row(count, length) {
                    put(space, scene.queue, &item, false);
                }
                scene
            },
            |space, (), scene| {
                directory::leave(caller(space), scene.row).expect("to leave");
            },
            |_, ()| Ok(Outcome::Before),
        ));
    }
    entries.push(play(
        "reopen a queue",
        Ends::Changed,
        |space| {
            warm(space);
            let scene = make(space, 0, Order::Fifo);
            queue::shut_down(caller(space), scene.queue).expect("to shut down");
            scene
        },
        |space, _| warm(space),
        |space, scene, ()| {
            queue::reopen(caller(space), scene.queue).expect("to reopen");
        },
        |space, scene| {
            is_free(space, scene.queue.object.lock())?;
            let closing = queue::is_closing(&space.segment, scene.queue.object);
            told_apart(&closing, &true, &false)
        },
    ));
    entries.push(play(
        "shut a queue down",
        Ends::Changed,
        |space| {
            warm(space);
            make(space, 0, Order::Fifo)
        },
        |space, _| warm(space),
        |space, scene, ()| {
            queue::shut_down(caller(space), scene.queue).expect("to shut down");
        },
        |space, scene| {
            is_free(space, scene.queue.object.lock())?;
            let closing = queue::is_closing(&space.segment, scene.queue.object);
            told_apart(&closing, &false, &true)
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    item::add(entries);
    lease::add(entries);
    living(entries);
}
