//! Short names for what operations and judges do with a space.

use crate::entry::Outcome;
use crate::system;
use courtyard_core::inside::crash;
use courtyard_core::inside::operation::Purpose;
use courtyard_core::layout::UNIT;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, NewValue, Stored, Writer};
use courtyard_core::offset::{EventWord, LockWord, Object};
use courtyard_core::participant::Participant;
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Caller, Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{directory, folder, lock, wait};

/// An object and the membership row of who made it.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub id: ObjectId,
    pub row: u64,
    pub base: Object,
}

pub fn me(space: &Space) -> &Participant {
    space.participant().expect("registered")
}

/// Who we are there, for a call that waits as long as it takes.
pub fn caller(space: &Space) -> Caller<'_, '_> {
    Caller::new(space, me(space), &unlimited)
}

pub fn make(space: &Space, kind: u64, length: u64) -> Made {
    let made = object::create(caller(space), kind, length, |_| {});
    let (id, row) = made.expect("an object");
    let (base, ..) = object::open(&space.segment, id).expect("the object");
    Made { id, row, base }
}

pub fn leave(space: &Space, row: u64) {
    directory::leave(caller(space), row).expect("to leave");
}

/// Makes all the tables that an operation would otherwise add to first.
pub fn warm(space: &Space) {
    let made = make(space, object::SCALAR, 0);
    let ticket = directory::send(caller(space), made.id).expect("a ticket");
    let row = directory::receive(caller(space), made.id, ticket);
    leave(space, row.expect("received"));
    leave(space, made.row);
}

pub fn writer(made: Made) -> Writer {
    Writer {
        object: made.base,
        guarded: true,
        thread: 1,
    }
}

pub fn get(space: &Space, made: Made) -> u64 {
    let word = space.segment.word(made.base + object::DATA);
    word.load(Ordering::Acquire)
}

pub fn set(space: &Space, made: Made, value: u64) {
    let word = space.segment.word(made.base + object::DATA);
    word.store(value, Ordering::Release);
}

pub fn add(space: &Space, writer: Writer, step: u64) {
    let word = space.segment.word(writer.object + object::DATA);
    object::change(caller(space), writer, || {
        word.store(word.load(Ordering::Relaxed) + step, Ordering::Release);
    })
    .expect("to change");
}

/// As `add`, by the fast path.
pub fn add_fast(space: &Space, made: Made, guarded: bool) -> bool {
    let word = space.segment.word(made.base + object::DATA);
    let add = || word.fetch_add(1, Ordering::AcqRel);
    // SAFETY: the processes here have one thread.
    unsafe { object::change_fast(&space.segment, me(space), made.base, guarded, add) }.is_some()
}

pub fn write(space: &Space, made: Made, offset: u64, bytes: &[u8], expected: Option<&[u8]>) {
    let writer = writer(made);
    let done = object::write_bytes(caller(space), writer, offset, bytes, expected);
    assert!(done.expect("to write"), "the bytes were not as expected");
}

pub fn read(space: &Space, made: Made, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    object::read_bytes(caller(space), writer(made), &mut bytes).expect("to read");
    bytes
}

/// A short word if there are no bytes, else a block.
pub fn put(space: &Space, made: Made, bytes: &[u8]) {
    let new_value = match bytes {
        [] => NewValue::Word(1),
        bytes => object::prepare(caller(space), 16, &[bytes]).expect("a block"),
    };
    let stored = object::store(caller(space), writer(made), &new_value, None);
    assert!(stored.expect("to store"));
}

/// What `put` stored.
pub fn take(space: &Space, made: Made) -> Result<Vec<u8>, String> {
    match object::load(caller(space), writer(made)) {
        Ok((Stored::Word(1), _)) => Ok(Vec::new()),
        Ok((Stored::Bytes(16, bytes), _)) => Ok(bytes),
        Ok((Stored::Word(word), _)) => Err(format!("the word {word:#x}")),
        Ok((Stored::Bytes(kind, _), _)) => Err(format!("a block of kind {kind}")),
        Err(error) => Err(error.to_string()),
    }
}

/// A block of our own that nothing links.
pub fn block(space: &'static Space, length: u64) -> PendingBlock<'static> {
    PendingBlock::allocate(caller(space), length, 9).expect("a block")
}

/// Takes all units that are left, but for the reserve.
pub fn fill(space: &'static Space) -> Vec<PendingBlock<'static>> {
    let segment = &space.segment;
    folder::set_limit(space, segment.size() - segment.data());
    let (mut held, mut length) = (Vec::new(), 4 << 20);
    while length > 2 * UNIT {
        match PendingBlock::allocate(caller(space), length, 0) {
            Ok(block) => held.push(block),
            Err(_) => length /= 2,
        }
    }
    let purpose = Purpose::Store;
    while let Ok(block) = PendingBlock::allocate_units(purpose, caller(space), 1, 0) {
        held.push(block);
    }
    held
}

pub fn told_apart<T: PartialEq + std::fmt::Debug>(
    found: &T,
    before: &T,
    after: &T,
) -> Result<Outcome, String> {
    if found == before {
        Ok(Outcome::Before)
    } else if found == after {
        Ok(Outcome::After)
    } else {
        Err(format!("{found:?}, expected {before:?} or {after:?}"))
    }
}

/// Bytes are told apart without printing them all.
pub fn bytes_apart(found: &[u8], before: &[u8], after: &[u8]) -> Result<Outcome, String> {
    if found == before {
        Ok(Outcome::Before)
    } else if found == after {
        Ok(Outcome::After)
    } else {
        let length = found.len();
        let old = found.iter().zip(before).filter(|(a, b)| a == b).count();
        let new = found.iter().zip(after).filter(|(a, b)| a == b).count();
        Err(format!(
            "torn: {length} bytes, {old} as before, {new} as after"
        ))
    }
}

/// Announces a sleeper on the object; returns the event word it sleeps on.
pub fn announce(space: &Space, made: Made) -> u64 {
    announce_at(space, made.base + object::EVENT)
}

/// As `announce`, on any event word.
pub fn announce_at(space: &Space, event: EventWord) -> u64 {
    let observed = wait::observe(&space.segment, event);
    wait::prepare(&space.segment, event, observed).expect("an event word that does not change")
}

/// After a change the sleeper must have been told: the word differs from what it sleeps on.
pub fn was_woken(space: &Space, made: Made, flagged: Option<u64>) -> bool {
    was_woken_at(space, made.base + object::EVENT, flagged)
}

pub fn was_woken_at(space: &Space, event: EventWord, flagged: Option<u64>) -> bool {
    let now = wait::observe(&space.segment, event);
    flagged.is_none_or(|flagged| now != flagged && now & wait::SLEEPER == 0)
}

pub fn with_wake(
    outcome: Outcome,
    space: &Space,
    made: Made,
    flagged: Option<u64>,
) -> Result<Outcome, String> {
    if outcome == Outcome::After && !was_woken(space, made, flagged) {
        return Err("it changed and nobody was woken".into());
    }
    Ok(outcome)
}

/// Whether the lock can be had at once; it is left free.
pub fn is_free(space: &Space, lock: LockWord) -> Result<(), String> {
    // Also one that is kept for either batch: others leave it alone for a while only.
    match lock::try_acquire(
        &space.segment,
        lock,
        me(space).me,
        lock::FIRST | lock::SECOND,
    ) {
        Ok(lock::Tried::Held(word)) => Err(format!("the lock {lock:#x} is held: {word:#x}")),
        Ok(_) => {
            lock::release(&space.segment, lock);
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Another process does `body` and dies at the point, or at its end if it is never reached.
pub fn victim(space: &Space, point: &'static str, body: impl FnOnce(&'static Space)) {
    let place = crate::image::Place {
        folder: std::path::PathBuf::new(),
        path: space.segment.path(),
        uuid: space.uuid,
    };
    let Some(pid) = system::fork() else {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let space = crate::entry::enter(&place).expect("to enter");
            crash::arm(point, 0);
            body(space);
        }));
        system::leave(i32::from(code.is_err()));
    };
    let event = system::wait(pid);
    let died = matches!(
        event,
        system::Event::Killed(libc::SIGKILL) | system::Event::Exited(0)
    );
    assert!(died, "the victim: {event:?}");
}
