//! What a process does with a file that it was given: everything, a bounded number of times.

use crate::image::Image;
use crate::primitive::order;
use crate::random::Random;
use crate::state::Known;
use courtyard_core::directory::{self, Ticket};
use courtyard_core::error::{Error, Result};
use courtyard_core::layout::superblock;
use courtyard_core::lock::{self, Waiter};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::name::Name;
use courtyard_core::object::{
    self, BYTES, FLAG, LIST, MUTEX, NewValue, Pieces, RMUTEX, SCALAR, STORED, Stored, TABLE, Writer,
};
use courtyard_core::offset::Object;
use courtyard_core::participant::Participant;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::waiting::{Note, Who};
use courtyard_core::{HOOKS, check, folder, fork, inspect, wait};
use std::path::Path;
use std::time::{Duration, Instant};

/// What came of an image: the worst of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Nothing was noticed.
    Sound,
    /// An object's value was not what it had been.
    Wrong,
    NotFound,
    /// `Full`, `Crowded` or a refused system call.
    Other,
    /// A lock was not to be had: its word names a process that lives.
    Held,
    Layout,
    Corrupt,
}

pub const OUTCOMES: [(Outcome, &str); 7] = [
    (Outcome::Sound, "ok"),
    (Outcome::Wrong, "wrong value"),
    (Outcome::NotFound, "NotFound"),
    (Outcome::Other, "another error"),
    (Outcome::Held, "held by the living"),
    (Outcome::Layout, "LayoutMismatch"),
    (Outcome::Corrupt, "CorruptError"),
];

impl From<&Error> for Outcome {
    fn from(error: &Error) -> Outcome {
        match error {
            Error::Corrupt(_) => Outcome::Corrupt,
            Error::Layout(_) => Outcome::Layout,
            Error::Interrupted | Error::TimedOut => Outcome::Held,
            Error::NotFound(_) => Outcome::NotFound,
            _ => Outcome::Other,
        }
    }
}

/// How long it waits for held locks, in all: in a mutated file they may name the living.
const WAIT: Duration = Duration::from_millis(300);

pub struct Session<'a> {
    pub space: &'a Space,
    pub me: &'a Participant,
    worst: Outcome,
    /// How long it still waits, in all.
    pub left: Duration,
    /// What waits by itself, for some seconds at a time, is not gone on with for ever.
    end: Instant,
    /// Whether the objects still hold what they did.
    pub first: bool,
    /// Whether errors are printed: for a look at one image.
    tell: bool,
}

/// Runs an operation; None if it failed, which is noted.
macro_rules! tried {
    ($session:expr, |$caller:ident| $work:expr) => {{
        let left = std::cell::Cell::new($session.left);
        let wait = |slice: courtyard_core::space::Slice| {
            if left.get().is_zero() {
                return Err(courtyard_core::error::Error::Interrupted);
            }
            let began = std::time::Instant::now();
            slice(courtyard_core::lock::PROBE)?;
            left.set(left.get().saturating_sub(began.elapsed()));
            Ok(())
        };
        let $caller = courtyard_core::space::Caller::new($session.space, $session.me, &wait);
        let result = $work;
        $session.left = left.get();
        $session.note(result)
    }};
}
pub(crate) use tried;

impl<'a> Session<'a> {
    pub fn new(space: &'a Space, me: &'a Participant) -> Session<'a> {
        Session {
            space,
            me,
            worst: Outcome::Sound,
            left: WAIT,
            end: Instant::now() + Duration::from_secs(2),
            first: true,
            tell: false,
        }
    }

    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let text = error.to_string();
                assert!(!text.is_empty());
                if self.tell {
                    println!("    {text}");
                }
                self.worst = self.worst.max((&error).into());
                None
            }
        }
    }

    pub fn compare(&mut self, what: &str, same: bool) {
        if !same && self.first {
            if self.tell {
                println!("    {what} is not what it was");
            }
            self.worst = self.worst.max(Outcome::Wrong);
        }
    }

    /// Whether it is worth going on: somebody who lives may hold a lock for ever.
    pub fn is_stuck(&self) -> bool {
        self.left.is_zero() || Instant::now() > self.end
    }

    /// Receives an object, uses it and leaves it; a new pickle keeps it for the next session.
    fn use_object(&mut self, known: &mut Known, keep: bool) {
        let space = self.space;
        let got = tried!(self, |caller| directory::receive(
            caller,
            known.id,
            known.ticket
        ));
        let Some(row) = got else { return };
        if let Some((object, kind, length)) = self.note(object::open(&space.segment, known.id)) {
            self.compare("a kind", kind == known.kind);
            self.use_kind(known, object, kind, length);
        }
        if keep && !self.is_stuck() {
            let id = known.id;
            let sent = tried!(self, |caller| directory::send(caller, id));
            known.ticket = sent.unwrap_or(Ticket::NONE);
        }
        if !self.is_stuck() {
            tried!(self, |caller| directory::leave(caller, row));
        }
    }

    fn use_kind(&mut self, known: &Known, object: Object, kind: u64, length: u64) {
        let (id, holds) = (known.id, &known.holds);
        let writer = Writer {
            object,
            guarded: true,
            thread: 1,
        };
        match kind {
            SCALAR => self.use_scalar(writer, holds),
            BYTES => self.use_bytes(writer, length, holds),
            STORED => self.use_stored(writer, holds),
            TABLE => self.use_table(object, holds),
            LIST => self.use_list(object, holds),
            _ => self.use_primitive(id, object, kind, order(holds)),
        }
        self.use_lock(writer);
        let observed = wait::observe(&self.space.segment, object + object::EVENT);
        wait::prepare(&self.space.segment, object + object::EVENT, observed);
        wait::notify(&self.space.segment, object + object::EVENT);
    }

    fn use_scalar(&mut self, writer: Writer, holds: &[u8]) {
        let (space, me) = (self.space, self.me);
        let word = space.segment.word(writer.object + object::DATA);
        self.compare(
            "a scalar",
            word.load(Ordering::Acquire).to_ne_bytes() == holds,
        );
        tried!(self, |caller| object::change(caller, writer, || word
            .fetch_add(1, Ordering::AcqRel)));
        let add = || word.fetch_add(1, Ordering::AcqRel);
        // SAFETY: this process has one thread.
        unsafe { object::change_fast(&space.segment, me, writer.object, true, add) };
    }

    fn use_bytes(&mut self, writer: Writer, length: u64, holds: &[u8]) {
        let space = self.space;
        let mut bytes = vec![0; length.min(100_000) as usize];
        let read = tried!(self, |caller| object::read_bytes(
            caller, writer, &mut bytes
        ));
        if read.is_some() {
            self.compare("some bytes", bytes == holds);
        }
        let there = bytes.len() as u64;
        let pieces = [
            Pieces::range(0, there),
            Pieces::range(there.min(3), there.min(90) - there.min(3)),
            Pieces {
                offset: 1,
                length: 4,
                count: there.saturating_sub(1) / 16,
                stride: 16,
            },
        ];
        for pieces in pieces {
            let part = &bytes[..(pieces.length * pieces.count) as usize];
            if !part.is_empty() && !self.is_stuck() {
                tried!(self, |caller| object::write_pieces(
                    caller, writer, pieces, part, None
                ));
            }
        }
        let (middle, part) = (there / 3, &mut bytes[(there / 3) as usize..]);
        tried!(self, |caller| object::read_range(
            caller, writer, middle, part
        ));
        object::touch(&space.segment, writer.object);
        tried!(self, |caller| object::write_bytes(
            caller,
            writer,
            0,
            &bytes,
            Some(&bytes)
        ));
    }

    fn use_stored(&mut self, writer: Writer, holds: &[u8]) {
        let _ = ();
        let loaded = tried!(self, |caller| object::load(caller, writer));
        if let Some((stored, _)) = &loaded {
            let same = match stored {
                Stored::Word(word) => *word == 1 && holds.is_empty(),
                Stored::Bytes(_, bytes) => bytes == holds,
            };
            self.compare("a stored object", same);
        }
        let token = loaded.map(|(_, token)| token);
        for length in [40, 30_000, 0] {
            if self.is_stuck() {
                return;
            }
            let bytes = vec![5; length];
            let new = match length {
                0 => Some(NewValue::Word(1)),
                _ => tried!(self, |caller| object::prepare(caller, 18, &[&bytes])),
            };
            let Some(new) = new else { continue };
            let expected = token.filter(|_| length == 40);
            tried!(self, |caller| object::store(caller, writer, &new, expected));
        }
    }

    /// `get_lock()`, twice.
    fn use_lock(&mut self, writer: Writer) {
        let (space, me) = (self.space, self.me);
        for _ in 0..2 {
            self.note(object::enter(&space.segment, me, writer, lock::cpu_flags()));
        }
        object::is_recovered(&space.segment, me, writer);
        for _ in 0..2 {
            object::exit(&space.segment, me, writer);
        }
        let short = Duration::from_millis(1);
        let mut waiter = Waiter::new(&space.segment, writer.object.lock());
        self.note(space.wait_slice(&mut waiter, short));
    }

    /// New objects beside the old ones, sent and received.
    fn make(&mut self) {
        let _ = ();
        let sorts = [
            (SCALAR, 0),
            (BYTES, 500),
            (BYTES, 40_000),
            (STORED, 0),
            (MUTEX, 0),
            (RMUTEX, 0),
            (FLAG, 0),
            (object::SEMAPHORE, object::least(object::SEMAPHORE)),
            (object::CONDITION, object::least(object::CONDITION)),
            (object::BARRIER, object::least(object::BARRIER)),
        ];
        for (kind, length) in sorts {
            if self.is_stuck() {
                return;
            }
            let made = tried!(self, |caller| object::create(caller, kind, length, |_| {}));
            let Some((id, row)) = made else { continue };
            let ticket = tried!(self, |caller| directory::send(caller, id));
            let holds = match kind {
                SCALAR => vec![0; 8],
                BYTES => vec![0; length as usize],
                _ => Vec::new(),
            };
            let mut known = Known {
                id,
                kind,
                holds,
                ticket: ticket.unwrap_or(Ticket::NONE),
            };
            // What a new one of stored objects holds is its maker's affair.
            let first = self.first;
            self.first &= kind != STORED;
            self.use_object(&mut known, false);
            self.first = first;
            tried!(self, |caller| directory::leave(caller, row));
        }
        if !self.is_stuck() {
            self.make_table();
            self.make_list();
        }
    }

    /// A child that is never born.
    fn fork(&mut self) {
        if let Some(reservation) = self.note(fork::before(self.space)).flatten() {
            fork::after_in_parent(reservation);
        }
    }

    fn check(&mut self) {
        let space = self.space;
        let who = Who {
            serial: 7,
            name: Name::new("a thread that waits"),
        };
        let (word, waited) = (superblock::NAMED.0, Duration::ZERO);
        drop(Note::new(&space.segment, self.me, word, waited, who));
        tried!(self, |caller| check::check(space, caller.wait));
        tried!(self, |caller| inspect::view(space, caller.wait, None));
    }
}

/// Uses a space: what is known to be in it, what is said to be in it, and what is new.
pub fn session(
    space: &Space,
    known: &mut [Known],
    (first, tell): (bool, bool),
    random: &mut Random,
) -> Result<Outcome> {
    let session = &mut Session::new(space, space.participant()?);
    (session.first, session.tell) = (first, tell);
    // In any order: what comes later meets what the earlier left.
    let check_first = random.one_in(2);
    if check_first {
        session.check();
    }
    for id in known {
        if !session.is_stuck() {
            session.use_object(id, true);
        }
    }
    if !session.is_stuck() && random.one_in(2) {
        session.use_names(random.below(20));
    }
    if !session.is_stuck() && random.one_in(2) {
        session.make();
    }
    for _ in 0..4 {
        // A handle that means something else, or nothing.
        let id = ObjectId {
            row: random.below(200),
            serial: random.below(300),
        };
        let mut stale = Known {
            id,
            kind: SCALAR,
            holds: Vec::new(),
            ticket: Ticket::NONE,
        };
        let before = session.worst;
        (session.first, session.tell) = (false, false);
        if !session.is_stuck() {
            session.use_object(&mut stale, false);
        }
        if session.worst == Outcome::NotFound {
            session.worst = before;
        }
        (session.first, session.tell) = (first, tell);
    }
    if !session.is_stuck() && random.one_in(4) {
        session.fork();
    }
    if !session.is_stuck() && !check_first {
        session.check();
    }
    Ok(session.worst)
}

/// Opens a mutated file twice, as two processes that die in turn: the second recovers the first.
pub fn exercise(image: &Image, path: &Path, random: &mut Random, tell: bool) -> Outcome {
    let (mut worst, mut known) = (Outcome::Sound, image.known.clone());
    for turn in 0..2 {
        let outcome = match folder::attach(path, image.uuid, HOOKS) {
            Ok(space) => {
                let outcome = session(&space, &mut known, (turn == 0, tell), random);
                space.discard();
                outcome
            }
            Err(error) => Err(error),
        };
        let outcome = outcome.unwrap_or_else(|error| {
            if tell {
                println!("    to attach: {error}");
            }
            (&error).into()
        });
        worst = worst.max(outcome);
        if outcome >= Outcome::Other || random.one_in(2) {
            break;
        }
    }
    worst
}
