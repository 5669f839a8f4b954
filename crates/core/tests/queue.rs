//! Looking into a queue without taking anything.

mod stage;

use courtyard_core::cell;
use courtyard_core::holding::Row;
use courtyard_core::layout::{UNIT, WORD};
use courtyard_core::queue::{
    self, Fresh, Got, INLINE, LONGEST_SEEN, Order, Put, Queue, Seen, Sift,
};
use courtyard_core::space::{Space, patient};
use courtyard_core::sync::Ordering;
use stage::{Folder, alone, census, me};

const BYTES: u8 = 32;

fn make(space: &Space, order: Order) -> Queue {
    let made = queue::create(space, me(space), &mut patient, 0, order);
    let (object, _) = made.unwrap();
    let (cell, ..) = cell::open(&space.segment, object).unwrap();
    Queue { cell, object }
}

fn put(space: &Space, queue: Queue, item: &Fresh) {
    let put = queue::put(space, me(space), &mut patient, queue, item);
    assert_eq!(put.unwrap(), Put::Done);
}

fn block<'a>(space: &'a Space, kind: u8, bytes: &[u8]) -> Fresh<'a> {
    queue::prepare(space, me(space), &mut patient, kind, &[bytes]).unwrap()
}

fn row(space: &Space, queue: Queue) -> Row {
    let row = Row::reserve(space, me(space), &mut patient).unwrap();
    queue::enroll(space, me(space), &mut patient, queue, row).unwrap();
    row
}

fn get(space: &Space, queue: Queue, row: Row) -> Option<Seen> {
    let mut buffer = vec![0; INLINE as usize];
    let got = queue::get(
        space,
        me(space),
        &mut patient,
        queue,
        row,
        None,
        &mut buffer,
    );
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
    queue::peek(space, me(space), &mut patient, queue.cell, most).unwrap()
}

/// What is seen is what then comes, and looking takes nothing.
fn sees_what_comes(space: &Space, queue: Queue) {
    let (items, _) = queue::counts(&space.segment, queue.cell);
    let all = peek(space, queue, usize::MAX);
    assert_eq!(all.len() as u64, items);
    assert_eq!(peek(space, queue, 3), all[..3.min(all.len())]);
    assert!(peek(space, queue, 0).is_empty());
    assert_eq!(queue::counts(&space.segment, queue.cell).0, items);
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
        put(&space, queue, &Fresh::Word(number << 3 | 1));
        let bytes = vec![number as u8; 900];
        put(&space, queue, &Fresh::Bytes(BYTES, &[&bytes]));
    }
    put(&space, queue, &block(&space, BYTES, &[7; 9000]));
    let long = vec![1; LONGEST_SEEN as usize + 1];
    put(&space, queue, &block(&space, BYTES, &long));
    // What came back from a lease is the first again.
    let row = Row::reserve(&space, me(&space), &mut patient).unwrap();
    let lease = queue::lease(&space, me(&space), &mut patient, queue, row, None);
    let lease = lease.unwrap().unwrap();
    queue::give_back(&space, me(&space), &mut patient, queue, lease).unwrap();
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
        let item = Fresh::Word(place << 3 | 1);
        let sift = Sift {
            moves: Vec::new(),
            place,
        };
        let put = queue::insert(&space, me(&space), &mut patient, queue, &item, &sift);
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
                queue::insert(&space, me(&space), &mut patient, queue, &item, &sift).unwrap();
            } else {
                put(&space, queue, &block(&space, queue::VALUE_WORD, &word));
            }
        }
        let root = queue.cell;
        // The queue's words but for its locks, and what the pages, blocks and trees begin with.
        let words = (root + cell::EVENT..root + cell::PAYLOAD + queue::LENGTH).step_by(8);
        let firsts = words
            .clone()
            .map(|at| space.segment.word(at).load(Ordering::Relaxed));
        let inside = firsts.filter(|&at| space.segment.check_range(at & !7, 256).is_ok());
        let inside = inside.flat_map(|at| (at & !7..(at & !7) + 256).step_by(8));
        let all: Vec<u64> = words.chain(inside).collect();
        for at in all {
            if at == root + cell::PAYLOAD {
                continue; // the get lock: a word that names a stranger is waited for
            }
            let was = space.segment.word(at).load(Ordering::Relaxed);
            let own = [was ^ 8, was.wrapping_add(WORD), root, at];
            for value in wild.into_iter().chain(own) {
                space.segment.word(at).store(value, Ordering::Relaxed);
                let seen = queue::peek(&space, me(&space), &mut patient, root, 100);
                refused += u32::from(seen.is_err());
            }
            space.segment.word(at).store(was, Ordering::Relaxed);
        }
        assert_eq!(peek(&space, queue, 100).len(), 4);
    }
    assert!(refused > 50, "{refused}");
    census(&space);
}
