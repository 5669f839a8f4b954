//! Threads of one process, and of one that has the space open twice: nothing lost, nothing torn.
//! No forks here, so that ThreadSanitizer can watch (`make sanitize`).

mod stage;

use courtyard_core::holding::Row;
use courtyard_core::lock::Waiter;
use courtyard_core::object::{self, BYTES, Entered, SCALAR, SEMAPHORE, STORED, Writer};
use courtyard_core::queue::{self, Got, INLINE, NewItem, Order, Put, Queue};
use courtyard_core::semaphore::{self, User};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::{AtomicU64, Ordering};
use courtyard_core::{directory, fork, mutex};
use stage::{
    Folder, Made, add, alone, attach, caller, get, held, leave, make, me, prove, put, read, take,
    try_write,
};

const THREADS: u64 = 4;
const TURNS: u64 = 500;

/// Runs `body` in some threads at once, every other of them through a second opening.
fn together(space: &Space, body: impl Fn(&Space, u64) + Sync) {
    let other = attach(space);
    std::thread::scope(|scope| {
        let start = |thread| {
            let (body, space) = (&body, if thread % 2 == 0 { space } else { &other });
            scope.spawn(move || body(space, thread))
        };
        // Joined one by one: the end of a scope is an ordering that ThreadSanitizer doesn't see.
        for thread in (0..THREADS).map(start).collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    });
    other.discard();
}

#[test]
fn sums() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (made, locked) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    together(&space, |space, thread| {
        let writer = Writer {
            object: locked.base,
            guarded: true,
            thread: thread as u32 + 1,
        };
        for _ in 0..TURNS {
            add(space, made, 1);
            while object::enter(&space.segment, me(space), writer, 0).unwrap() != Entered::Yes {
                let mut waiter = Waiter::new(&space.segment, locked.base.lock());
                unlimited(&mut |limit| space.wait_slice(&mut waiter, limit)).unwrap();
            }
            let word = space.segment.word(locked.base + object::DATA);
            word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            assert!(object::exit(&space.segment, me(space), writer));
        }
    });
    assert_eq!(get(&space, made), THREADS * TURNS);
    assert_eq!(get(&space, locked), THREADS * TURNS);
    leave(&space, made);
    leave(&space, locked);
    assert_eq!(held(&space).0, 0);
}

#[test]
fn values_are_never_torn() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (bytes, stored) = (make(&space, BYTES, 3000), make(&space, STORED, 0));
    let whole = |bytes: &[u8]| assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]));
    together(&space, |space, thread| {
        for turn in 0..TURNS {
            let byte = (thread * 60 + turn % 60) as u8;
            assert!(try_write(space, bytes, &[byte; 3000]).unwrap());
            whole(&read(space, bytes, 3000));
            let length = [0, 30, 500, 40_000][turn as usize % 4];
            put(space, stored, &vec![byte; length]);
            whole(&take(space, stored));
        }
    });
    leave(&space, bytes);
    leave(&space, stored);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn objects_come_and_go() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let kept = make(&space, BYTES, 100);
    together(&space, |space, thread| {
        for turn in 0..TURNS / 2 {
            let made = make(space, BYTES, [10, 700, 20_000][turn as usize % 3]);
            let ticket = directory::send(caller(space), kept.id).unwrap();
            let row = directory::receive(caller(space), kept.id, ticket);
            leave(space, made);
            let row = row.unwrap();
            leave(space, Made { row, ..kept });
            if thread == 0 && turn % 20 == 0 {
                prove(space);
                let reservation = fork::before(space).unwrap();
                reservation.into_iter().for_each(fork::after_in_parent);
            }
        }
    });
    leave(&space, kept);
    assert_eq!(held(&space).0, 0);
}

#[test]
fn items_and_permits() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let length = object::least(SEMAPHORE);
    let permits = object::create(caller(&space), SEMAPHORE, length, |object| {
        semaphore::fill(&space.segment, object, 2, None);
    });
    let (permits, permit_row) = permits.unwrap();
    let (semaphore, ..) = object::open(&space.segment, permits).unwrap();
    let made = queue::create(caller(&space), 50, Order::Fifo);
    let (items, item_row) = made.unwrap();
    let (ring, ..) = object::open(&space.segment, items).unwrap();
    let lock = make(&space, object::MUTEX, 0);
    let (put, got) = (AtomicU64::new(0), AtomicU64::new(0));
    together(&space, |space, thread| {
        let caller = caller(space);
        let queue = Queue {
            object: ring,
            id: items,
        };
        let (counted, own) = (Row::reserve(caller).unwrap(), Row::reserve(caller).unwrap());
        queue::count_in(caller, queue, counted).unwrap();
        let user = User {
            object: semaphore,
            id: permits,
            row: own,
        };
        let mut buffer = vec![0; INLINE as usize];
        for turn in 0..TURNS {
            let number = thread * TURNS + turn + 1;
            let bytes = vec![0; [8, 6000][turn as usize % 2]];
            let parts = [&bytes[..]];
            let new = match turn % 3 {
                0 => NewItem::Word(number << 3 | 1),
                _ if bytes.len() > INLINE as usize => queue::prepare(caller, 18, &parts).unwrap(),
                _ => NewItem::Bytes(18, &parts),
            };
            while queue::put(caller, queue, &new).unwrap() == Put::Full {
                if take_one(space, queue, counted, &mut buffer) {
                    got.fetch_add(1, Ordering::Relaxed);
                }
            }
            put.fetch_add(1, Ordering::Relaxed);
            if turn % 2 == 0 && take_one(space, queue, counted, &mut buffer) {
                got.fetch_add(1, Ordering::Relaxed);
            }
            if semaphore::try_acquire(caller, user).unwrap() {
                assert!(semaphore::release(caller, user, 1).unwrap());
            }
            if mutex::try_acquire(&space.segment, me(space), lock.base, 0).unwrap() {
                assert!(mutex::release(&space.segment, lock.base));
            }
        }
    });
    let (left, _) = queue::counts(&space.segment, ring);
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(count(&put), THREADS * TURNS);
    assert_eq!(count(&got) + left, count(&put));
    assert_eq!(semaphore::value(&space.segment, semaphore), 2);
    held(&space); // the block of an item that is gone would be found here
    for row in [permit_row, item_row, lock.row] {
        directory::leave(caller(&space), row).unwrap();
    }
    assert_eq!(held(&space).0, 0);
}

/// Takes an item and calls it done.
fn take_one(space: &Space, queue: Queue, row: Row, buffer: &mut [u8]) -> bool {
    let caller = caller(space);
    let got = queue::get(caller, queue, row, None, buffer).unwrap();
    if let Some(Got::Block(block)) = &got {
        queue::contents(&space.segment, block.payload()).unwrap();
    }
    got.is_some() && queue::task_done(caller, queue, row).unwrap()
}
