//! What is done with locks, events, semaphores, conditions, barriers and queues.

use crate::exercise::{Session, tried};
use courtyard_core::barrier::{self, ACTING, BROKEN, DRAINING, FILLING, Party};
use courtyard_core::condition::{self, Waiter};
use courtyard_core::holding::Row;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{BARRIER, CONDITION, FLAG, MUTEX, QUEUE, RMUTEX, SEMAPHORE, Writer};
use courtyard_core::offset::Object;
use courtyard_core::queue::{self, Got, INLINE, NewItem, Order, Put, Queue, Sift};
use courtyard_core::semaphore::{self, User};
use courtyard_core::{flag, lock, mutex};

/// The codec's kinds begin here.
pub const KIND: u8 = 18;
/// Items put into a queue, by their length: words, records, blocks.
pub const LENGTHS: [usize; 5] = [0, 40, 3000, 5000, 40_000];
/// The first goes, as the last takes its place: an order that no Python is asked for.
static FIRST: Sift = Sift {
    moves: Vec::new(),
    place: 0,
};

/// An order in a byte.
pub fn order(holds: &[u8]) -> Order {
    match holds.first() {
        Some(1) => Order::Lifo,
        Some(2) => Order::Least,
        _ => Order::Fifo,
    }
}

impl Session<'_> {
    /// `order` is a queue's: its handles say it, not its memory.
    pub fn use_primitive(&mut self, id: ObjectId, object: Object, kind: u64, order: Order) {
        match kind {
            MUTEX => self.use_mutex(object),
            RMUTEX => self.use_recursive(object),
            FLAG => self.use_flag(object),
            SEMAPHORE | CONDITION | BARRIER | QUEUE => {
                let me = self.me;
                let row = tried!(self, |caller| Row::reserve(caller));
                let Some(row) = row else { return };
                match kind {
                    SEMAPHORE => self.use_semaphore(User { object, id, row }),
                    CONDITION => self.use_condition(Waiter { object, id, row }),
                    BARRIER => self.use_barrier(Party { object, id, row }),
                    _ => self.use_queue(Queue { object, id }, order, row),
                }
                row.give(me);
            }
            _ => {}
        }
    }

    fn use_mutex(&mut self, object: Object) {
        let (segment, me) = (&self.space.segment, self.me);
        self.note(mutex::is_locked(segment, object));
        mutex::version(segment, object);
        mutex::is_recovered(segment, object);
        let acquired = self.note(mutex::try_acquire(segment, me, object, lock::cpu_flags()));
        if acquired == Some(true) {
            mutex::release(segment, object);
        }
    }

    fn use_recursive(&mut self, object: Object) {
        let (segment, me) = (&self.space.segment, self.me);
        let writer = Writer {
            object,
            guarded: true,
            thread: 1,
        };
        for _ in 0..2 {
            self.note(mutex::enter(segment, me, writer, lock::cpu_flags()));
        }
        for _ in 0..2 {
            mutex::exit(segment, me, writer);
        }
    }

    fn use_flag(&mut self, object: Object) {
        let space = self.space;
        let before = flag::word(&space.segment, object);
        for on in [true, false, true] {
            tried!(self, |caller| flag::change(caller, object, on));
        }
        flag::was_set(before, flag::word(&space.segment, object));
    }

    fn use_semaphore(&mut self, user: User) {
        let (space, me) = (self.space, self.me);
        semaphore::limit(&space.segment, user.object);
        semaphore::is_recovered(&space.segment, user.row);
        for _ in 0..2 {
            tried!(self, |caller| semaphore::try_acquire(caller, user));
        }
        // SAFETY: this process has one thread.
        let alone = unsafe { semaphore::acquire_fast(&space.segment, me, user) };
        // SAFETY: as above.
        let released = alone && unsafe { semaphore::release_fast(&space.segment, me, user) };
        for count in [1, 1, u64::from(alone && !released)] {
            tried!(self, |caller| semaphore::release(caller, user, count));
        }
    }

    fn use_condition(&mut self, waiter: Waiter) {
        let space = self.space;
        condition::waiting(&space.segment, waiter.object);
        tried!(self, |caller| condition::enter(caller, waiter));
        for count in [0, 1, u64::MAX] {
            let object = waiter.object;
            tried!(self, |caller| condition::notify(caller, object, count));
        }
        tried!(self, |caller| condition::try_take(caller, waiter));
        tried!(self, |caller| condition::leave(caller, waiter));
    }

    fn use_barrier(&mut self, party: Party) {
        let (space, object) = (self.space, party.object);
        barrier::waiting(&space.segment, object);
        barrier::parties(&space.segment, object);
        tried!(self, |caller| barrier::join(caller, party));
        for (from, to) in [
            (ACTING, DRAINING),
            (FILLING, BROKEN),
            (barrier::phase(&space.segment, object), FILLING),
        ] {
            tried!(self, |caller| barrier::advance(caller, object, &[from], to));
        }
        tried!(self, |caller| barrier::leave(caller, party));
        tried!(self, |caller| barrier::reset(caller, object));
    }

    fn use_queue(&mut self, queue: Queue, order: Order, row: Row) {
        let (space, object) = (self.space, queue.object);
        let segment = &space.segment;
        queue::counts(segment, object);
        queue::unfinished(segment, object);
        queue::is_closing(segment, object);
        let counts = tried!(self, |caller| queue::count_in(caller, queue, row));
        if counts.is_none() {
            return;
        }
        for length in LENGTHS {
            if !self.is_stuck() {
                self.put(queue, order, length);
            }
        }
        for _ in 0..2 * LENGTHS.len() {
            if self.is_stuck() || !self.get(queue, order, row) {
                break;
            }
            tried!(self, |caller| queue::task_done(caller, queue, row));
        }
        if !self.is_stuck() {
            self.lease(queue, order);
            let maximum = queue::maximum(segment, object);
            tried!(self, |caller| queue::set_maximum(caller, queue, maximum));
            tried!(self, |caller| queue::withdraw(caller, queue, row));
        }
    }

    pub fn put(&mut self, queue: Queue, order: Order, length: usize) {
        let (space, me) = (self.space, self.me);
        let bytes = vec![3; length];
        let parts = [&bytes[..]];
        let in_block = order != Order::Fifo || length > INLINE as usize;
        let new = match length {
            0 if order != Order::Lifo => Some(NewItem::Word(1)),
            _ if in_block => tried!(self, |caller| queue::prepare(caller, KIND, &parts)),
            _ => Some(NewItem::Bytes(KIND, &parts)),
        };
        let Some(new) = new else { return };
        if order != Order::Least {
            // SAFETY: this process has one thread.
            let put = unsafe { queue::put_fast(&space.segment, me, queue.object, &new) };
            if put != Some(Put::Done) {
                tried!(self, |caller| queue::put(caller, queue, &new));
            }
            return;
        }
        let object = queue.object;
        if self.note(queue::try_turn(&space.segment, me, object, 0)) == Some(true) {
            let sift = Sift {
                moves: Vec::new(),
                place: queue::filled(&space.segment, object),
            };
            tried!(self, |caller| queue::insert(caller, queue, &new, &sift));
            queue::end_turn(&space.segment, object);
        }
    }

    /// Takes an item; false if there is none.
    pub fn get(&mut self, queue: Queue, order: Order, row: Row) -> bool {
        let (space, me) = (self.space, self.me);
        let mut buffer = vec![0; INLINE as usize];
        let sift = (order == Order::Least).then_some(&FIRST);
        if sift.is_some() && queue::filled(&space.segment, queue.object) == 0 {
            return false;
        }
        if sift.is_some()
            && self.note(queue::try_turn(&space.segment, me, queue.object, 0)) != Some(true)
        {
            return false;
        }
        let mut got = None;
        if sift.is_none() {
            // SAFETY: this process has one thread.
            got = unsafe { queue::get_fast(&space.segment, me, queue.object, row, &mut buffer) };
        }
        let got = match got {
            Some(got) => got,
            None => tried!(self, |caller| queue::get(
                caller,
                queue,
                row,
                sift,
                &mut buffer
            ))
            .flatten(),
        };
        if sift.is_some() {
            queue::end_turn(&space.segment, queue.object);
        }
        if let Some(Got::Block(block)) = &got {
            self.read_item(block.payload());
        }
        got.is_some()
    }

    fn read_item(&mut self, payload: u64) {
        let segment = &self.space.segment;
        if let Some((_, at, length)) = self.note(queue::contents(segment, payload)) {
            segment.copy_out(at, &mut vec![0; length as usize]);
        }
    }

    /// Takes an item on a lease and gives it back; then again, and calls it done.
    fn lease(&mut self, queue: Queue, order: Order) {
        let (space, me) = (self.space, self.me);
        let sift = (order == Order::Least).then_some(&FIRST);
        for finish in [false, true] {
            if sift.is_some() && queue::filled(&space.segment, queue.object) == 0 {
                return;
            }
            let row = tried!(self, |caller| Row::reserve(caller));
            let Some(row) = row else { return };
            let leased = tried!(self, |caller| queue::lease(caller, queue, row, sift));
            if let Some(lease) = leased.flatten() {
                self.read_item(courtyard_core::heap::payload(&space.segment, lease.block));
                if finish {
                    tried!(self, |caller| queue::finish(caller, queue, lease));
                } else {
                    tried!(self, |caller| queue::give_back(caller, queue, lease));
                }
            }
            row.give(me);
        }
    }
}
