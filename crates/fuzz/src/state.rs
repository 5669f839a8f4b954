//! The valid files that are mutated: spaces in several states, whose processes are all dead.

use crate::exercise::Session;
use crate::image::Image;
use crate::link;
use crate::list;
use crate::name;
use crate::primitive::{LENGTHS, order};
use crate::system::{self, End};
use crate::table;
use courtyard_core::barrier::{self, Party};
use courtyard_core::condition::{self, Waiter};
use courtyard_core::directory::{self, Ticket};
use courtyard_core::holding::Row;
use courtyard_core::inside::crash;
use courtyard_core::inside::pin::Pin;
use courtyard_core::layout::superblock;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::name::Name;
use courtyard_core::object::{
    self, BARRIER, BYTES, CONDITION, FLAG, MUTEX, NewValue, QUEUE, RMUTEX, SCALAR, SEMAPHORE,
    STORED, Writer,
};
use courtyard_core::participant::Participant;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::queue::{self, Order, Queue};
use courtyard_core::semaphore::{self, User};
use courtyard_core::space::{Caller, Space, unlimited, within};
use courtyard_core::sync::Ordering;
use courtyard_core::waiting::{Note, Who};
use courtyard_core::{HOOKS, folder, lock, mutex, recover};
use std::path::Path;
use std::time::Duration;

/// An object of an image, what it holds, and a pickle of it under way.
#[derive(Clone)]
pub struct Known {
    pub id: ObjectId,
    pub kind: u64,
    pub holds: Vec<u8>,
    pub ticket: Ticket,
}

type Fill = fn(&Space) -> Vec<Known>;

/// How spaces come to be in the states that are mutated.
const STATES: [(&str, Fill); 22] = [
    ("empty", |_| Vec::new()),
    ("values", values),
    ("primitives", primitives),
    ("held", held),
    ("tables", tables),
    ("retired", retired),
    ("draining", draining),
    ("committed", committed),
    ("uncommitted", uncommitted),
    ("applying", applying),
    ("locked", locked),
    ("keys", table::keys),
    ("keys, a record that chains", table::chained),
    ("keys, a new index", table::grown),
    ("keys, deferred", table::deferred),
    ("elements", list::elements),
    ("elements, exchanged", list::exchanged),
    ("elements, deferred", list::deferred),
    ("kept", link::kept),
    ("kept, deferred", link::deferred),
    ("names", name::names),
    ("names, half given", name::halves),
];

/// Builds a space in each state and takes its file's bytes.
pub fn all(folder: &Path) -> Vec<Image> {
    let build = |(name, fill): (&'static str, Fill)| {
        let space = folder::create(folder, HOOKS).expect("a space");
        let known = fill(&space);
        let (path, uuid) = (space.segment.path(), space.uuid);
        space.discard();
        let image = Image::read(name, &path, uuid, known);
        std::fs::remove_file(path).expect("the file");
        image
    };
    STATES.map(build).into()
}

pub fn me(space: &Space) -> &Participant {
    space.participant().expect("registered")
}

/// Who we are there, for a call that waits as long as it takes.
pub fn caller(space: &Space) -> Caller<'_, '_> {
    Caller::new(space, me(space), &unlimited)
}

struct Made {
    id: ObjectId,
    row: u64,
    writer: Writer,
}

fn make(space: &Space, kind: u64, length: u64) -> Made {
    let made = object::create(caller(space), kind, length, |_| {});
    let (id, row) = made.expect("an object");
    let (object, ..) = object::open(&space.segment, id).expect("the object");
    let writer = Writer {
        object,
        guarded: true,
        thread: 1,
    };
    Made { id, row, writer }
}

/// Only pickles under way keep objects whose holders are dead.
fn known(space: &Space, made: &Made, kind: u64, holds: Vec<u8>) -> Known {
    known_as(space, made.id, kind, holds)
}

pub fn known_as(space: &Space, id: ObjectId, kind: u64, holds: Vec<u8>) -> Known {
    let ticket = directory::send(caller(space), id);
    Known {
        id,
        kind,
        holds,
        ticket: ticket.expect("a ticket"),
    }
}

fn scalar(space: &Space, value: u64) -> Known {
    let made = make(space, SCALAR, 0);
    let word = space.segment.word(made.writer.object + object::DATA);
    word.store(value, Ordering::Release);
    known(space, &made, SCALAR, value.to_ne_bytes().into())
}

fn bytes(space: &Space, length: usize) -> Known {
    let made = make(space, BYTES, length as u64);
    let holds = vec![7; length];
    let writer = made.writer;
    object::write_bytes(caller(space), writer, 0, &holds, None).expect("written");
    known(space, &made, BYTES, holds)
}

fn put(space: &Space, writer: Writer, bytes: &[u8]) {
    let new_value = match bytes {
        [] => NewValue::Word(1),
        bytes => object::prepare(caller(space), 18, &[bytes]).expect("a block"),
    };
    object::store(caller(space), writer, &new_value, None).expect("stored");
}

fn stored(space: &Space, length: usize) -> Known {
    let made = make(space, STORED, 0);
    let holds = vec![9; length];
    put(space, made.writer, &holds);
    known(space, &made, STORED, holds)
}

fn lock_of_users(space: &Space) -> Known {
    known(space, &make(space, MUTEX, 0), MUTEX, Vec::new())
}

/// One of each kind.
fn values(space: &Space) -> Vec<Known> {
    vec![
        scalar(space, 5),
        bytes(space, 20),
        bytes(space, 3000),
        bytes(space, 50_000),
        stored(space, 0),
        stored(space, 300),
        stored(space, 50_000),
        lock_of_users(space),
    ]
}

/// One of each kind that is not a value; queues of each order with items of each sort.
fn primitives(space: &Space) -> Vec<Known> {
    let mut all: Vec<Known> = [MUTEX, RMUTEX, FLAG]
        .map(|kind| known(space, &make(space, kind, 0), kind, Vec::new()))
        .into();
    for kind in [SEMAPHORE, CONDITION, BARRIER] {
        let made = make(space, kind, object::least(kind));
        match kind {
            SEMAPHORE => semaphore::fill(&space.segment, made.writer.object, 3, Some(5)),
            BARRIER => barrier::fill(&space.segment, made.writer.object, 2),
            _ => {}
        }
        all.push(known(space, &made, kind, Vec::new()));
    }
    for order in [Order::Fifo, Order::Lifo, Order::Least] {
        let made = queue::create(caller(space), 100, order).expect("a queue");
        let (object, ..) = object::open(&space.segment, made.0).expect("the queue");
        let queue = Queue { object, id: made.0 };
        let session = &mut Session::new(space, me(space));
        for length in LENGTHS.repeat(2) {
            session.put(queue, order, length);
        }
        let ticket = directory::send(caller(space), queue.id);
        all.push(Known {
            id: queue.id,
            kind: QUEUE,
            holds: vec![order as u8],
            ticket: ticket.expect("a ticket"),
        });
    }
    all
}

/// The dead had permits, places in line and at a barrier, items taken and on a lease, the turn, and waited.
fn held(space: &Space) -> Vec<Known> {
    let all = primitives(space);
    let holder = |known: &Known| {
        let known = known.clone();
        death(move |space| hold(space, &known))
    };
    deaths(space, all.iter().chain(&all).map(holder).collect());
    all
}

fn hold(space: &Space, known: &Known) {
    let (me, id) = (me(space), known.id);
    let (object, kind, _) = object::open(&space.segment, id).expect("the object");
    let row = Row::reserve(caller(space)).expect("a row");
    let wait = within(Duration::from_secs(5));
    let caller = Caller::new(space, me, &wait);
    let who = Who {
        serial: kind as u32,
        name: Name::new("one who waits"),
    };
    std::mem::forget(Note::new(&space.segment, me, object.0, Duration::ZERO, who));
    match kind {
        SEMAPHORE => drop(semaphore::try_acquire(caller, User { object, id, row })),
        CONDITION => drop(condition::enter(caller, Waiter { object, id, row })),
        BARRIER => drop(barrier::join(caller, Party { object, id, row })),
        QUEUE => {
            let (queue, order) = (Queue { object, id }, order(&known.holds));
            queue::count_in(caller, queue, row).expect("to count in");
            Session::new(space, me).get(queue, order, row);
            if order != Order::Least {
                let row = Row::reserve(caller).expect("a row");
                queue::lease(caller, queue, row, None).expect("to lease");
            } else {
                queue::try_turn(&space.segment, me, object, 0).expect("the turn");
            }
        }
        _ => drop(mutex::try_acquire(&space.segment, me, object, 0)),
    }
}

/// Many rows, free ones between them, pickles under way, chunks that are full and some that are
/// empty, free runs between used ones.
fn tables(space: &Space) -> Vec<Known> {
    let mut made: Vec<Known> = (0..100).map(|value| scalar(space, value)).collect();
    made.extend((0..20).map(|index| bytes(space, index * 600)));
    let large: Vec<Made> = (1..6)
        .map(|units| make(space, BYTES, units * 16_000))
        .collect();
    for (index, made) in large.into_iter().enumerate() {
        if index % 2 == 0 {
            directory::leave(caller(space), made.row).expect("left");
        }
    }
    // A process that made some and died, so that rows become free.
    let maker = |space: &Space| {
        for _ in 0..30 {
            make(space, SCALAR, 0);
        }
        scalar(space, 1);
    };
    deaths(space, vec![death(maker)]);
    sweep(space);
    made.into_iter().step_by(9).collect()
}

/// Replaced blocks that a reader, dead by now, pinned.
fn retired(space: &Space) -> Vec<Known> {
    let values = [stored(space, 20_000), stored(space, 40_000)];
    for value in &values {
        let (object, ..) = object::open(&space.segment, value.id).expect("the object");
        let word = space
            .segment
            .word(object + object::DATA)
            .load(Ordering::Relaxed);
        let pin = Pin::new(space, me(space), word, || true).expect("a pin");
        let writer = Writer {
            object,
            guarded: true,
            thread: 1,
        };
        put(space, writer, &value.holds);
        std::mem::forget(pin);
    }
    values.into()
}

/// The dead were reaped and still own blocks, in magazines, pending and pinned, and objects.
fn draining(space: &Space) -> Vec<Known> {
    let owner = |space: &Space| {
        values(space);
        for length in [50, 5000, 100_000] {
            let block = PendingBlock::allocate(caller(space), length, 9);
            let block = block.expect("a block");
            let pin = Pin::new(space, me(space), block.block(), || true);
            std::mem::forget(pin);
            std::mem::forget(block);
        }
    };
    let values = values(space);
    deaths(space, vec![death(owner), death(owner), death(owner)]);
    recover::reap_all(&space.segment).expect("reaped");
    values
}

/// Deaths at a line of the journal in records of many kinds. Each works where no other does, the
/// one that dies in the heap's lock last, so that nobody recovers anybody.
fn die_at(space: &Space, point: &'static str) -> Vec<Known> {
    let known = values(space);
    let write = |known: &Known| {
        let known = known.clone();
        Death {
            point,
            skip: 1, // the first record allocates
            work: Box::new(move |space| write_again(space, &known)),
        }
    };
    let id = known[0].id;
    let mut all: Vec<Death> = [2, 3, 5, 6].map(|index| write(&known[index])).into();
    all.push(Death {
        point,
        skip: 0,
        work: Box::new(move |space| {
            directory::send(caller(space), id).expect("a ticket");
        }),
    });
    all.push(Death {
        point,
        skip: 0,
        work: Box::new(|space| {
            make(space, BYTES, 70_000);
        }),
    });
    deaths(space, all);
    known
}

fn write_again(space: &Space, value: &Known) {
    let (object, kind, _) = object::open(&space.segment, value.id).expect("the object");
    let writer = Writer {
        object,
        guarded: true,
        thread: 1,
    };
    let holds = &value.holds;
    if kind == STORED {
        put(space, writer, holds);
    } else {
        object::write_bytes(caller(space), writer, 0, holds, None).expect("written");
    }
}

fn committed(space: &Space) -> Vec<Known> {
    die_at(space, "journal.committed")
}

fn uncommitted(space: &Space) -> Vec<Known> {
    die_at(space, "journal.written")
}

fn applying(space: &Space) -> Vec<Known> {
    die_at(space, "journal.odd")
}

/// Locks of every sort whose holders died.
fn locked(space: &Space) -> Vec<Known> {
    let values = values(space);
    let hold = |known: &Known| {
        let id = known.id;
        death(move |space| {
            let (object, kind, _) = object::open(&space.segment, id).expect("the object");
            let writer = Writer {
                object,
                guarded: true,
                thread: 2,
            };
            let (segment, me) = (&space.segment, me(space));
            if kind == MUTEX {
                mutex::try_acquire(segment, me, object, lock::cpu_flags()).expect("acquired");
            } else {
                object::enter(segment, me, writer, lock::WAITERS).expect("entered");
            }
        })
    };
    let mut all: Vec<Death> = values.iter().map(hold).collect();
    for lock in [superblock::DIRECTORY_LOCK, superblock::RETIRED_LOCK] {
        all.push(death(move |space| {
            lock::try_acquire(&space.segment, lock, me(space).me, 0).expect("acquired");
        }));
    }
    all.push(Death {
        point: "heap.published",
        skip: 0,
        work: Box::new(|space| {
            for _ in 0..100 {
                make(space, BYTES, 100_000);
            }
        }),
    });
    deaths(space, all);
    values
}

fn sweep(space: &Space) {
    space.sweep(&unlimited).expect("swept");
}

/// What another process does before it dies, and where: at its end if no point is named.
pub struct Death {
    pub point: &'static str,
    pub skip: u32,
    pub work: Box<dyn Fn(&Space)>,
}

pub fn death(work: impl Fn(&Space) + 'static) -> Death {
    Death {
        point: "",
        skip: 0,
        work: Box::new(work),
    }
}

/// All of them enter, and do their work once if they are to die in it, so that they have blocks
/// at hand. Then one after another goes on and dies: the living recover the dead when they meet
/// them, so none may enter after the first death.
pub fn deaths(space: &Space, all: Vec<Death>) {
    let enter = |death: Death| match system::fork() {
        Some(pid) => {
            system::wait_until_stopped(pid);
            (pid, death.point)
        }
        None => {
            let code =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| die(space, &death)));
            system::leave(i32::from(code.is_err()));
        }
    };
    let entered: Vec<_> = all.into_iter().map(enter).collect();
    for (pid, point) in entered {
        let expected = match point {
            "" => End::Exited(0),
            _ => End::Killed(libc::SIGKILL),
        };
        system::go_on(pid);
        assert_eq!(system::wait(pid), expected, "the death at {point:?}");
    }
}

fn die(space: &Space, death: &Death) {
    let space = folder::attach(&space.segment.path(), space.uuid, HOOKS).expect("entered");
    if !death.point.is_empty() && death.point != "heap.published" {
        (death.work)(&space);
    }
    system::stop_here();
    if !death.point.is_empty() {
        crash::arm(death.point, death.skip);
    }
    (death.work)(&space);
}
