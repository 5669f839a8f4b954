//! Queues that are bounded in bytes: they count what is in them, whatever happens to it.

mod stage;

use courtyard_core::holding::Row;
use courtyard_core::layout::WORD;
use courtyard_core::object;
use courtyard_core::queue::{
    self, Bounds, INLINE, Item, LEAST_BYTES, NewItem, Order, Put, Queue, Run, Sift, When,
};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{check, error::Error};
use stage::{Folder, alone, caller, census, me};
use std::time::Duration;

const BYTES: u8 = 32;
const MOST: u64 = 20_000;

fn make(space: &Space, order: Order, bytes: u64) -> Queue {
    let bounds = Bounds { items: 9, bytes };
    let made = queue::create(caller(space), bounds, order);
    let (id, _) = made.unwrap();
    let (object, ..) = object::open(&space.segment, id).unwrap();
    Queue { object, id }
}

fn row(space: &Space, queue: Queue) -> Row {
    let row = Row::reserve(caller(space)).unwrap();
    queue::count_in(caller(space), queue, row).unwrap();
    row
}

/// Where an item goes that is the greatest, and how the first goes where order means nothing.
fn last(space: &Space, queue: Queue, order: Order, more: u64) -> Option<Sift> {
    let filled = queue::filled(&space.segment, queue.object);
    let place = if more == 0 { 0 } else { filled };
    let moves = Vec::new();
    (order == Order::Least && filled + more > 0).then_some(Sift { moves, place })
}

fn put(space: &Space, queue: Queue, order: Order, length: u64) -> Put {
    let bytes = vec![1; length as usize];
    let parts = [bytes.as_slice()];
    let new = match order == Order::Fifo && length <= INLINE {
        true => NewItem::Bytes(BYTES, &parts),
        false => queue::prepare(caller(space), BYTES, &parts).unwrap(),
    };
    let put = match last(space, queue, order, 1) {
        Some(sift) => queue::insert(caller(space), queue, &new, &sift),
        None => queue::put(caller(space), queue, &new),
    };
    put.unwrap()
}

fn get(space: &Space, queue: Queue, row: Row, order: Order) -> bool {
    let mut buffer = vec![0; INLINE as usize];
    let sift = last(space, queue, order, 0);
    let sift = sift.as_ref();
    let got = queue::get(caller(space), queue, row, sift, &mut buffer);
    got.unwrap().is_some()
}

fn lease(space: &Space, queue: Queue, order: Order) -> Option<queue::Lease> {
    let row = Row::reserve(caller(space)).unwrap();
    let (me, sift) = (me(space), last(space, queue, order, 0));
    let lease = queue::lease(caller(space), queue, row, sift.as_ref()).unwrap();
    if lease.is_none() {
        row.give(me);
    }
    lease
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// All operations in any order, over two queues of each kind: `check` compares what they count with
/// what is in them, and neither is ever beyond its bound.
#[test]
fn whatever_is_done_to_them() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    for order in [Order::Fifo, Order::Lifo, Order::Least] {
        let queues = [make(&space, order, MOST), make(&space, order, MOST / 2)];
        let rows = queues.map(|queue| row(&space, queue));
        let mut leases: Vec<(usize, queue::Lease)> = Vec::new();
        let (mut state, mut full, mut moved) = (7, 0, 0);
        for _ in 0..600 {
            let at = (random(&mut state) % 2) as usize;
            let (own, me) = (queues[at], me(&space));
            match random(&mut state) % 10 {
                0..=3 => {
                    let length = [0, 7, 100, 3000, 6000][(random(&mut state) % 5) as usize];
                    full += u32::from(put(&space, own, order, length) == Put::Full);
                }
                4 => drop(get(&space, own, rows[at], order)),
                5 | 6 => leases.extend(lease(&space, own, order).map(|lease| (at, lease))),
                7 => {
                    let cleared = random(&mut state).is_multiple_of(5);
                    if cleared {
                        queue::clear(caller(&space), own).unwrap();
                        queue::free_cleared(&space, me);
                    }
                }
                way => {
                    let Some((at, lease)) = leases.pop() else {
                        continue;
                    };
                    let (own, other) = (queues[at], queues[1 - at]);
                    let way = way + random(&mut state) % 3;
                    let when = When::After(Duration::ZERO);
                    match way {
                        8 => queue::finish(caller(&space), own, lease).unwrap(),
                        9 => queue::give_back(caller(&space), own, lease).unwrap(),
                        10 => {
                            queue::requeue(caller(&space), own, lease, when).unwrap();
                            if order == Order::Least {
                                // Nobody moves it to the tree here.
                                queue::drop_requeued(caller(&space), own).unwrap();
                            }
                        }
                        _ => {
                            let queues = (own, other);
                            match queue::transfer(caller(&space), queues, lease, None).unwrap() {
                                Put::Done => moved += 1,
                                _ => {
                                    leases.push((at, lease));
                                    continue;
                                }
                            }
                            if order == Order::Least {
                                queue::drop_requeued(caller(&space), other).unwrap();
                            }
                        }
                    }
                    lease.row.give(me);
                }
            }
            census(&space);
            for (queue, most) in queues.into_iter().zip([MOST, MOST / 2]) {
                assert!(queue::bytes(&space.segment, queue.object) <= most);
            }
        }
        assert!(full > 10 && moved > 5, "{order:?}: {full} {moved}");
        for (at, lease) in leases {
            queue::finish(caller(&space), queues[at], lease).unwrap();
            lease.row.give(me(&space));
        }
        for (queue, row) in queues.into_iter().zip(rows) {
            while get(&space, queue, row, order) {}
            assert_eq!(queue::bytes(&space.segment, queue.object), 0);
        }
    }
    census(&space);
}

/// The fast paths count, and go by the bound; what can never fit is told before what is full, and what
/// is shut down before both.
#[test]
fn alone_and_at_once() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (segment, me) = (&space.segment, me(&space));
    let queue = make(&space, Order::Fifo, 4 * LEAST_BYTES + 8);
    let (object, row) = (queue.object, row(&space, queue));
    let bytes = || queue::bytes(segment, object);
    // SAFETY: this test has one thread.
    let put_fast = |new: &NewItem| unsafe { queue::put_fast(segment, me, object, new) };
    assert_eq!(put_fast(&NewItem::Word(9)), Some(Put::Done));
    let mut records = Vec::new();
    for word in 0..9 {
        assert!(queue::add_record(&mut records, Item::Word(word << 3 | 1)));
    }
    // SAFETY: as above.
    let put_run = || unsafe { queue::put_run(segment, me, object, &records) };
    let put = put_run();
    assert_eq!(
        (put, bytes()),
        (3 * 16, 64),
        "three of a record of 16 bytes fit"
    );
    assert_eq!(put_run(), 0);
    assert_eq!(put_fast(&NewItem::Word(9)), Some(Put::Full));
    let large = [[0_u8; 100].as_slice()];
    let large = NewItem::Bytes(BYTES, &large);
    assert_eq!(put_fast(&large), Some(Put::TooLarge));
    assert_eq!(queue::never_fits(segment, object, 100), Some(Put::TooLarge));
    assert_eq!(queue::never_fits(segment, object, 64), None);
    census(&space);
    // SAFETY: as above.
    let got = unsafe { queue::get_word(segment, me, object, row) };
    assert_eq!(got, Some(9));
    assert_eq!(bytes(), 48);
    let mut page = [0; courtyard_core::layout::UNIT as usize];
    // SAFETY: as above.
    let run = unsafe { queue::get_run(segment, me, object, row, 2, |_| false, &mut page) };
    assert_eq!((run, bytes()), (Run::Taken(32), 16));
    let mut buffer = [0; INLINE as usize];
    // SAFETY: as above.
    let got = unsafe { queue::get_fast(segment, me, object, row, &mut buffer) };
    assert!(got.is_some());
    assert_eq!(bytes(), 0);
    queue::shut_down(caller(&space), queue).unwrap();
    assert_eq!(queue::never_fits(segment, object, 100), Some(Put::ShutDown));
    assert_eq!(put_fast(&large), Some(Put::ShutDown));
    assert_eq!(put_run(), 0);
    census(&space);
}

/// Each of the counts by itself: `check` finds a count that is not what the items are.
#[test]
fn a_count_that_is_wrong_is_found() {
    let _alone = alone();
    for order in [Order::Fifo, Order::Lifo, Order::Least] {
        let folder = Folder::new();
        let space = folder.space();
        let queue = make(&space, order, MOST);
        for length in [100, 6000, 100] {
            assert_eq!(put(&space, queue, order, length), Put::Done);
        }
        lease(&space, queue, order).unwrap();
        census(&space);
        let end = queue.object + object::PAYLOAD + queue::LENGTH;
        for counted in [end - 3 * WORD, end - 2 * WORD, end - WORD] {
            let word = space.segment.word(counted);
            let was = word.load(Ordering::Relaxed);
            for wrong in [was.wrapping_add(8), was.wrapping_sub(8), u64::MAX] {
                word.store(wrong, Ordering::Relaxed);
                let found = check::check(&space, &unlimited);
                let Err(Error::Corrupt(text)) = found else {
                    panic!("{order:?}: {wrong} for {was} was not found");
                };
                assert!(text.contains("a queue counts"), "{text}");
            }
            word.store(was, Ordering::Relaxed);
            census(&space);
        }
        // Whatever it says, items are put or refused, and taken.
        for counted in [end - 3 * WORD, end - 2 * WORD, end - WORD] {
            for wrong in [0, 8, 1 << 63, u64::MAX] {
                space.segment.word(counted).store(wrong, Ordering::Relaxed);
                let put = put(&space, queue, order, 0);
                assert!(matches!(put, Put::Done | Put::Full));
                get(&space, queue, row(&space, queue), order);
            }
        }
    }
}
