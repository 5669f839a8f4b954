//! Items put, taken, leased and returned; pages that come and go.

use crate::entry::{Ends, Entry, OrText, Outcome, play};
use crate::stage::{Made, announce, caller, fill, is_free, me, told_apart, warm, with_wake};
use courtyard_core::HOOKS;
use courtyard_core::cell;
use courtyard_core::holding::Row;
use courtyard_core::layout::UNIT;
use courtyard_core::queue::{
    self, Bounds, Fresh, Got, INLINE, Item, Items, Order, Put, Queue, Run,
};
use courtyard_core::space::Space;
use courtyard_core::unfinished::Unfinished;
use courtyard_core::{directory, heap};

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
            object: self.queue.object,
            row: self.row,
            base: self.queue.cell,
        }
    }
}

pub fn make(space: &Space, bounds: impl Into<Bounds>, order: Order) -> Scene {
    let made = queue::create(caller(space), bounds, order);
    let (object, row) = made.expect("a queue");
    let (cell, ..) = cell::open(&space.segment, object).expect("the queue");
    let queue = Queue { cell, object };
    Scene {
        queue,
        row,
        flagged: None,
        blocks: 0,
    }
}

/// How many blocks it consists of.
pub fn blocks(space: &Space, queue: Queue) -> Result<usize, String> {
    let root = directory::root(&space.segment, queue.object).or_text()?;
    let blocks = (HOOKS.blocks)(&space.segment, root.0).or_text()?.blocks;
    Ok(blocks.len())
}

pub fn item(number: usize, length: usize) -> Vec<u8> {
    vec![number as u8; length]
}

fn put(space: &Space, queue: Queue, bytes: &[u8], stack: bool) -> Put {
    let parts = [bytes];
    let fresh = if stack || bytes.len() > INLINE as usize {
        queue::prepare(caller(space), KIND, &parts).expect("a block")
    } else {
        Fresh::Bytes(KIND, &parts)
    };
    queue::put(caller(space), queue, &fresh).expect("to put")
}

fn put_word(space: &Space, queue: Queue, word: u64) {
    let put = queue::put(caller(space), queue, &Fresh::Word(word));
    assert_eq!(put.expect("to put"), Put::Done);
}

pub fn enroll(space: &Space, queue: Queue) -> Row {
    let row = Row::reserve(caller(space)).expect("a row");
    queue::enroll(caller(space), queue, row).expect("to enroll");
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
    let seen = queue::look_at(caller(space), queue.cell, &mut buffer);
    seen.expect("to look").is_some()
}

/// All items, in their order; what is open is what is there, and both locks are free.
fn items(space: &Space, queue: Queue) -> Result<Vec<Vec<u8>>, String> {
    let segment = &space.segment;
    let (counted, leased) = queue::counts(segment, queue.cell);
    let open = queue::unfinished(segment, queue.cell);
    let row = enroll(space, queue);
    let mut items = Vec::new();
    while let Some(item) = get(space, queue, row) {
        items.push(item);
    }
    is_free(space, queue.cell)?;
    is_free(space, queue.cell + cell::PAYLOAD)?;
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
    let put = unsafe { queue::put_run(&space.segment, me(space), queue.cell, &records) };
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
            let fresh = Fresh::Bytes(KIND, &parts);
            // SAFETY: the processes here have one thread.
            let put = unsafe { queue::put_fast(&space.segment, me(space), queue.cell, &fresh) };
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
                    unsafe { queue::put_run(&space.segment, me(space), queue.cell, &records) };
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
    // Two pages that were in use, and are not: the item goes on, and the extra page goes.
    entries.push(change(
        "put an item where pages are too many",
        (0, false),
        row(PAGE, 4000),
        row(PAGE + 1, 4000),
        |space, queue| {
            let row = enroll(space, queue);
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
            enroll,
            |space, queue, row| assert!(get(space, queue, row).is_some()),
        ));
    }
    entries.push(change(
        "get an item by the fast path",
        (0, false),
        row(2, 100),
        row(2, 100)[1..].to_vec(),
        enroll,
        |space, queue, row| {
            let mut buffer = [0; INLINE as usize];
            let (segment, me) = (&space.segment, me(space));
            // SAFETY: the processes here have one thread.
            let got = unsafe { queue::get_fast(segment, me, queue.cell, row, &mut buffer) };
            assert!(matches!(got, Some(Some(Got::Bytes(KIND, 100)))));
        },
    ));
    entries.push(change(
        "get a word by the fast path",
        (0, false),
        words(4),
        words(4)[1..].to_vec(),
        enroll,
        |space, queue, row| {
            // SAFETY: as above.
            let got = unsafe { queue::get_word(&space.segment, me(space), queue.cell, row) };
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
            enroll,
            move |space, queue, at| {
                let (segment, me) = (&space.segment, me(space));
                let (mut buffer, none) = ([0; UNIT as usize], |_| false);
                // SAFETY: as above.
                let run =
                    unsafe { queue::get_run(segment, me, queue.cell, at, max, none, &mut buffer) };
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
            let row = enroll(space, queue);
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
fn get_block(space: &'static Space, queue: Queue, row: Row) -> Unfinished<'static> {
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
            enroll,
            |space, queue, row| drop(get_block(space, queue, row)),
        ));
        entries.push(change_from(
            &format!("put {name} back"),
            (0, stack),
            first.clone(),
            (less, first),
            |space, queue| {
                let row = enroll(space, queue);
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
            let row = enroll(space, queue);
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
        enroll,
        |space, queue, row| {
            let mut buffer = vec![0; INLINE as usize];
            let seen = queue::look_at(caller(space), queue.cell, &mut buffer);
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

fn lease(space: &Space, queue: Queue) -> queue::Lease {
    let row = Row::reserve(caller(space)).expect("a row");
    let leased = queue::lease(caller(space), queue, row, None);
    leased.expect("to lease").expect("an item")
}

/// What takes items out of a queue that has filled its space: an empty page of its own makes room, or the
/// reserve.
fn taking_from_a_full_space(entries: &mut Vec<Entry>) {
    // Those on two pages, and an empty one behind them.
    let before = row(PAGE + 1, 4000);
    entries.push(change(
        "lease an item of a full space",
        (0, false),
        before.clone(),
        before.clone(),
        |space, _| {
            let row = Row::reserve(caller(space)).expect("a row");
            (row, fill(space))
        },
        |space, queue, (row, held)| {
            let leased = queue::lease(caller(space), queue, row, None);
            assert!(leased.expect("to lease").is_some());
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "clear a queue in a full space",
        (0, false),
        before,
        Vec::new(),
        |space, _| fill(space),
        |space, queue, held| {
            let gone = queue::clear(caller(space), queue);
            assert_eq!(gone.expect("to clear"), PAGE as u64 + 1);
            std::mem::forget(held);
        },
    ));
    let few = row(2, 100);
    entries.push(change(
        "lease an item of a full space by the reserve",
        (0, false),
        few.clone(),
        few,
        |space, _| fill(space),
        |space, queue, held| {
            lease(space, queue);
            std::mem::forget(held);
        },
    ));
    for (name, stack, length) in [
        ("clear a queue in a full space by the reserve", false, 100),
        ("clear a stack in a full space", true, LARGE),
    ] {
        entries.push(change(
            name,
            (0, stack),
            row(3, length),
            Vec::new(),
            |space, _| fill(space),
            |space, queue, held| {
                let gone = queue::clear(caller(space), queue);
                assert_eq!(gone.expect("to clear"), 3);
                queue::free_cleared(space, me(space));
                std::mem::forget(held);
            },
        ));
    }
    entries.push(change(
        "get an item from a stack in a full space",
        (0, true),
        row(2, LARGE),
        row(1, LARGE),
        |space, _| fill(space),
        |space, queue, held| {
            let row = enroll(space, queue);
            assert!(get(space, queue, row).is_some());
            std::mem::forget(held);
        },
    ));
    entries.push(change(
        "lease from a stack in a full space",
        (0, true),
        row(2, LARGE),
        row(2, LARGE),
        |space, _| fill(space),
        |space, queue, held| {
            lease(space, queue);
            std::mem::forget(held);
        },
    ));
}

fn leasing(entries: &mut Vec<Entry>) {
    for (name, length) in [("an item", 100), ("a large item", LARGE)] {
        let before = row(2, length);
        let after = before[1..].to_vec();
        entries.push(change(
            &format!("lease {name}"),
            (0, false),
            before.clone(),
            before.clone(),
            |_, _| (),
            move |space, queue, ()| {
                let lease = lease(space, queue);
                let payload = heap::payload(&space.segment, lease.block);
                assert_eq!(contents(space, payload), item(0, length));
            },
        ));
        entries.push(change(
            &format!("finish the lease of {name}"),
            (0, false),
            before.clone(),
            after,
            lease,
            |space, queue, lease| {
                queue::finish(caller(space), queue, lease).expect("to finish");
            },
        ));
        entries.push(change(
            &format!("give {name} back"),
            (0, false),
            before.clone(),
            before.clone(),
            lease,
            |space, queue, lease| {
                queue::give_back(caller(space), queue, lease).expect("to give back");
            },
        ));
        entries.push(change(
            &format!("get {name} that came back"),
            (0, false),
            before.clone(),
            before[1..].to_vec(),
            |space, queue| {
                let lease = lease(space, queue);
                queue::give_back(caller(space), queue, lease).expect("to give back");
                enroll(space, queue)
            },
            |space, queue, row| assert!(get(space, queue, row).is_some()),
        ));
    }
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
            is_free(space, scene.queue.cell)?;
            let closing = queue::is_closing(&space.segment, scene.queue.cell);
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
            is_free(space, scene.queue.cell)?;
            let closing = queue::is_closing(&space.segment, scene.queue.cell);
            told_apart(&closing, &false, &true)
        },
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    putting(entries);
    getting(entries);
    giving_back(entries);
    clearing(entries);
    leasing(entries);
    taking_from_a_full_space(entries);
    living(entries);
}
