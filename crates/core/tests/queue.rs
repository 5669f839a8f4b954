//! Looking into a queue without taking anything.

mod stage;

use courtyard_core::heap;
use courtyard_core::holding::Row;
use courtyard_core::layout::{UNIT, WORD, superblock};
use courtyard_core::object;
use courtyard_core::queue::{
    self, Got, INLINE, LONGEST_SEEN, Look, NewItem, Order, Put, Queue, Seen, Sift, When,
};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use stage::{Folder, alone, caller, census, me};
use std::time::Duration;

const BYTES: u8 = 32;

fn make(space: &Space, order: Order) -> Queue {
    let made = queue::create(caller(space), 0, order);
    let (id, _) = made.unwrap();
    let (object, ..) = object::open(&space.segment, id).unwrap();
    Queue { object, id }
}

fn put(space: &Space, queue: Queue, item: &NewItem) {
    let put = queue::put(caller(space), queue, item);
    assert_eq!(put.unwrap(), Put::Done);
}

fn block<'a>(space: &'a Space, kind: u8, bytes: &[u8]) -> NewItem<'a> {
    queue::prepare(caller(space), kind, &[bytes]).unwrap()
}

fn row(space: &Space, queue: Queue) -> Row {
    let row = Row::reserve(caller(space)).unwrap();
    queue::count_in(caller(space), queue, row).unwrap();
    row
}

fn get(space: &Space, queue: Queue, row: Row) -> Option<Seen> {
    let mut buffer = vec![0; INLINE as usize];
    let got = queue::get(caller(space), queue, row, None, &mut buffer);
    got.unwrap().map(|got| match got {
        Got::Word(word) => Seen::Word(word),
        Got::Bytes(kind, length) => Seen::Bytes(kind, buffer[..length].to_vec()),
        Got::Block(block) => {
            let (kind, at, length) = queue::contents(&space.segment, block.payload()).unwrap();
            let mut bytes = vec![0; length as usize];
            space.segment.copy_out(at, &mut bytes);
            match kind {
                queue::VALUE_WORD => Seen::Word(u64::from_ne_bytes(bytes.try_into().unwrap())),
                _ if length > LONGEST_SEEN => Seen::Long(length),
                kind => Seen::Bytes(kind, bytes),
            }
        }
    })
}

fn peek(space: &Space, queue: Queue, most: usize) -> Vec<Seen> {
    queue::peek(caller(space), queue.object, Look::at(most)).unwrap()
}

/// What is seen is what then comes, and looking takes nothing.
fn sees_what_comes(space: &Space, queue: Queue) {
    let (items, _) = queue::counts(&space.segment, queue.object);
    let all = peek(space, queue, usize::MAX);
    assert_eq!(all.len() as u64, items);
    assert_eq!(peek(space, queue, 3), all[..3.min(all.len())]);
    assert!(peek(space, queue, 0).is_empty());
    assert_eq!(queue::counts(&space.segment, queue.object).0, items);
    let row = row(space, queue);
    for seen in all {
        assert_eq!(get(space, queue, row), Some(seen));
    }
    assert!(peek(space, queue, 5).is_empty());
    census(space);
}

#[test]
fn first_in_first_out_over_pages() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let queue = make(&space, Order::Fifo);
    for number in 0..3 * UNIT / 1000 {
        put(&space, queue, &NewItem::Word(number << 3 | 1));
        let bytes = vec![number as u8; 900];
        put(&space, queue, &NewItem::Bytes(BYTES, &[&bytes]));
    }
    put(&space, queue, &block(&space, BYTES, &[7; 9000]));
    let long = vec![1; LONGEST_SEEN as usize + 1];
    put(&space, queue, &block(&space, BYTES, &long));
    // What came back from a lease is the first again.
    let row = Row::reserve(caller(&space)).unwrap();
    let lease = queue::lease(caller(&space), queue, row, None);
    let lease = lease.unwrap().unwrap();
    queue::give_back(caller(&space), queue, lease).unwrap();
    assert_eq!(peek(&space, queue, 1), [Seen::Word(1)]);
    sees_what_comes(&space, queue);
}

#[test]
fn last_in_first_out() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let queue = make(&space, Order::Lifo);
    for number in 0..5_u64 {
        let word = (number << 3 | 1).to_ne_bytes();
        put(&space, queue, &block(&space, queue::VALUE_WORD, &word));
        put(&space, queue, &block(&space, BYTES, &[number as u8; 100]));
    }
    assert_eq!(peek(&space, queue, 1), [Seen::Bytes(BYTES, vec![4; 100])]);
    sees_what_comes(&space, queue);
}

#[test]
fn the_least_first() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let queue = make(&space, Order::Least);
    for place in 0..3 {
        let item = NewItem::Word(place << 3 | 1);
        let sift = Sift {
            moves: Vec::new(),
            place,
        };
        let put = queue::insert(caller(&space), queue, &item, &sift);
        assert_eq!(put.unwrap(), Put::Done);
    }
    let words = [1, 9, 17].map(Seen::Word);
    assert_eq!(peek(&space, queue, 9), words);
    assert_eq!(peek(&space, queue, 2), words[..2]);
}

#[test]
fn whatever_a_peer_wrote() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let wild = [
        1,
        8,
        1 << 20,
        u64::MAX,
        u64::MAX - 7,
        space.segment.size(),
        3 << 24 | 8,
    ];
    let mut refused = 0;
    for order in [Order::Fifo, Order::Lifo, Order::Least] {
        let queue = make(&space, order);
        for number in 0..4 {
            let word = (number << 3 | 1_u64).to_ne_bytes();
            if order == Order::Least {
                let (moves, place) = (Vec::new(), number);
                let item = block(&space, queue::VALUE_WORD, &word);
                let sift = Sift { moves, place };
                queue::insert(caller(&space), queue, &item, &sift).unwrap();
            } else {
                put(&space, queue, &block(&space, queue::VALUE_WORD, &word));
            }
        }
        let root = queue.object;
        // The queue's words but for its locks, and what the pages, blocks and trees begin with.
        let words = ((root + object::EVENT).0..root + object::PAYLOAD + queue::LENGTH).step_by(8);
        let firsts = words
            .clone()
            .map(|at| space.segment.word(at).load(Ordering::Relaxed));
        let inside = firsts.filter(|&at| space.segment.check_range(at & !7, 256).is_ok());
        let inside = inside.flat_map(|at| (at & !7..(at & !7) + 256).step_by(8));
        let all: Vec<u64> = words.chain(inside).collect();
        for at in all {
            if at == root + object::PAYLOAD {
                continue; // the get lock: a word that names a stranger is waited for
            }
            let was = space.segment.word(at).load(Ordering::Relaxed);
            let own = [was ^ 8, was.wrapping_add(WORD), root.0, at];
            for value in wild.into_iter().chain(own) {
                space.segment.word(at).store(value, Ordering::Relaxed);
                let seen = queue::peek(caller(&space), root, Look::at(100));
                refused += u32::from(seen.is_err());
            }
            space.segment.word(at).store(was, Ordering::Relaxed);
        }
        assert_eq!(peek(&space, queue, 100).len(), 4);
    }
    assert!(refused > 50, "{refused}");
    census(&space);
}

/// Leases the first item; what it is.
fn lease(space: &Space, queue: Queue) -> (queue::Lease, Seen) {
    let row = Row::reserve(caller(space)).unwrap();
    let lease = queue::lease(caller(space), queue, row, None);
    let lease = lease.unwrap().unwrap();
    let payload = heap::payload(&space.segment, lease.block);
    let (kind, at, length) = queue::contents(&space.segment, payload).unwrap();
    let mut bytes = vec![0; length as usize];
    space.segment.copy_out(at, &mut bytes);
    let seen = match kind {
        queue::VALUE_WORD => Seen::Word(u64::from_ne_bytes(bytes.try_into().unwrap())),
        kind => Seen::Bytes(kind, bytes),
    };
    (lease, seen)
}

fn requeue(space: &Space, queue: Queue, lease: queue::Lease, when: When) {
    queue::requeue(caller(space), queue, lease, when).unwrap();
    lease.row.give(me(space));
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Thousands of items at times in many orders: they are ordered by when each is due, those of one time in
/// the order in which they went back; and go in that order.
#[test]
fn requeued_items_stand_by_when_they_are_due() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    type Delay = fn(u64, &mut u64) -> u64;
    let orders: [Delay; 4] = [
        |number, _| number,
        |number, _| 5000 - number,
        |_, _| 7,
        |_, state| random(state) % 3000,
    ];
    for delay in orders {
        let queue = make(&space, Order::Fifo);
        let mut state = 88_172_645_463_325_252;
        let mut expected = Vec::new();
        for number in 0..3000 {
            put(&space, queue, &NewItem::Word(number << 3 | 1));
            let (lease, item) = lease(&space, queue);
            let hours = delay(number, &mut state);
            expected.push((hours, item));
            requeue(
                &space,
                queue,
                lease,
                When::After(Duration::from_secs(3600 * (1 + hours))),
            );
        }
        expected.sort_by_key(|&(hours, _)| hours); // stable
        let expected: Vec<_> = expected.into_iter().map(|(_, item)| item).collect();
        assert_eq!(peek(&space, queue, usize::MAX), expected);
        assert_eq!(peek(&space, queue, 3), expected[..3]);
        assert_eq!(queue::counts(&space.segment, queue.object), (3000, 0));
        let row = row(&space, queue);
        assert_eq!(get(&space, queue, row), None);
        census(&space);
        for left in (0..3000).rev() {
            assert!(queue::drop_requeued(caller(&space), queue).unwrap());
            assert_eq!(queue::unfinished(&space.segment, queue.object), left);
            if left % 500 == 0 {
                let rest = expected.len() - left as usize;
                assert_eq!(peek(&space, queue, usize::MAX), expected[rest..]);
            }
        }
        assert!(!queue::drop_requeued(caller(&space), queue).unwrap());
        census(&space);
    }
}

/// A machine that was started anew ends all delays, whatever its clock says; what is requeued then
/// waits.
#[test]
fn a_new_boot_ends_all_delays() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let queue = make(&space, Order::Fifo);
    for number in 0..4 {
        put(&space, queue, &NewItem::Word(number << 3 | 1));
    }
    let later = When::After(Duration::from_secs(3600));
    for _ in 0..2 {
        let (lease, _) = lease(&space, queue);
        requeue(&space, queue, lease, later);
    }
    let word = |number: u64| Some(Seen::Word(number << 3 | 1));
    let row = row(&space, queue);
    assert_eq!(get(&space, queue, row), word(2));
    let boot = space.segment.word(superblock::BOOT);
    boot.store(boot.load(Ordering::Relaxed) ^ 5, Ordering::Relaxed);
    assert_eq!(
        peek(&space, queue, 9),
        [3, 0, 1].map(|number| word(number).unwrap())
    );
    let (last, item) = lease(&space, queue);
    assert_eq!(Some(item), word(3));
    requeue(&space, queue, last, later);
    assert_eq!(get(&space, queue, row), word(0));
    assert_eq!(get(&space, queue, row), word(1));
    assert_eq!(get(&space, queue, row), None);
    let (wait, _) = queue::until_due(caller(&space), queue).unwrap().unwrap();
    assert!(wait > Duration::from_secs(3500));
    assert_eq!(queue::counts(&space.segment, queue.object), (1, 0));
}

/// A tree that was scribbled on gives an error, and no endless loop.
#[test]
fn a_tree_in_circles_is_an_error() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let queue = make(&space, Order::Fifo);
    let mut blocks = Vec::new();
    for number in 0..3 {
        put(&space, queue, &NewItem::Word(number << 3 | 1));
        let (lease, _) = lease(&space, queue);
        blocks.push(lease.block);
        requeue(&space, queue, lease, When::After(Duration::from_secs(3600)));
    }
    for &block in &blocks {
        for word in [0, 4] {
            let at = heap::payload(&space.segment, block) + word * WORD;
            space.segment.word(at).store(blocks[0], Ordering::Relaxed);
        }
    }
    assert!(queue::until_due(caller(&space), queue).is_err());
    assert!(queue::drop_requeued(caller(&space), queue).is_err());
    assert!(queue::peek(caller(&space), queue.object, Look::at(usize::MAX)).is_err());
    put(&space, queue, &NewItem::Word(1));
    let mut buffer = vec![0; INLINE as usize];
    let row = row(&space, queue);
    assert!(queue::get(caller(&space), queue, row, None, &mut buffer).is_err());
}
