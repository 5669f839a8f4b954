//! Names of objects: each a counted reference, so that what it names lives on with nobody there.
//!
//! A name's row: `block | object row + 1 | companion's row + 1 | next`. The companion is another
//! object that this one cannot do without (a condition's lock), or 0. `next` leads on in the chain
//! of a `bucket`; in a free row the block is 0 and `next` the next free row + 1. The block holds
//! `hash | bytes of the name + (bytes of the description << 32)`, then both. What a description
//! says is the binding's affair: what the object was declared as. All of it is guarded by the
//! directory lock.

use super::bucket::{NAME_ROW, NEXT, add_bucket, bucket, found, hash_in, row_at};
use super::row::{Missing, NAME, REFERENCES, living, object_at, place, unreference, with_tables};
use crate::error::{Attempt, Error, Result, corrupt};
use crate::heap;
use crate::memory::layout::{self, OBJECT_ROW, WORD, block, kind, superblock};
use crate::space::{Caller, deferred_free};

use crate::change::operation::Operation;
use crate::memory::segment::Segment;
use crate::object::rows::{self, Place};
use crate::process::membership_cache::ObjectId;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// The most bytes of a name: 255 characters of any script.
pub const LONGEST_NAME: usize = 255 * 4;
/// The most bytes of a description.
pub const LONGEST_DESCRIPTION: usize = 1 << 20;

const OBJECT: u64 = WORD;
const COMPANION: u64 = 2 * WORD;

const LENGTHS: u64 = WORD;
const TEXT: u64 = 2 * WORD;

/// What a name leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    pub id: ObjectId,
    pub companion: Option<ObjectId>,
    pub description: Vec<u8>,
}

fn hash(name: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name)
}

/// What a name's block says, as data of a peer.
struct Text {
    name: Vec<u8>,
    description: Vec<u8>,
}

impl Text {
    fn read(segment: &Segment, block: u64) -> Result<Text> {
        segment.check_range(block, block::SMALL)?;
        let payload = heap::payload(segment, block);
        segment.check_range(payload, TEXT)?;
        let word = |offset| segment.word(payload + offset).load(Ordering::Relaxed);
        let (name, description) = (word(LENGTHS) & 0xFFFF_FFFF, word(LENGTHS) >> 32);
        if name > LONGEST_NAME as u64 || description > LONGEST_DESCRIPTION as u64 {
            return Err(corrupt(format!(
                "a name of {name} bytes, described by {description}"
            )));
        }
        let length = layout::align_up(name, WORD) + layout::align_up(description, WORD);
        segment.check_range(payload + TEXT, length.max(WORD))?;
        let copy = |offset, length| {
            let mut bytes = vec![0; length as usize];
            segment.copy_out(payload + TEXT + offset, &mut bytes);
            bytes
        };
        Ok(Text {
            name: copy(0, name),
            description: copy(layout::align_up(name, WORD), description),
        })
    }
}

/// Puts a name and a description into a block, with nothing held.
fn write<'a>(caller: Caller<'a, '_>, name: &[u8], description: &[u8]) -> Result<PendingBlock<'a>> {
    let (first, second) = (name.len() as u64, description.len() as u64);
    let length = TEXT + layout::align_up(first, WORD) + layout::align_up(second, WORD);
    let block = PendingBlock::allocate(caller, length, kind::PLAIN)?;
    let (segment, payload) = (&caller.space.segment, block.payload());
    let set = |offset, value| {
        let word = segment.word(payload + offset);
        word.store(value, Ordering::Relaxed);
    };
    set(0, hash(name));
    set(LENGTHS, first | second << 32);
    segment.copy_in(payload + TEXT, name);
    segment.copy_in(payload + TEXT + layout::align_up(first, WORD), description);
    Ok(block)
}

/// A name found: its row, where that is, and the word that leads to it.
struct Found {
    row: u64,
    at: u64,
    link: u64,
    text: Text,
}

/// Looks a name up. The directory lock is held.
fn search(operation: &Operation, name: &[u8]) -> Result<Option<Found>> {
    let segment = operation.segment;
    let hash = hash(name);
    let mut link = bucket(operation, hash)?;
    for _ in 0..=segment.size() / NAME_ROW {
        let Some(row) = operation.read(link).checked_sub(1) else {
            return Ok(None);
        };
        let at = row_at(segment, row)?;
        let block = operation.read(at);
        if hash_in(segment, block)? == hash {
            let text = Text::read(segment, block)?;
            if text.name == name {
                return Ok(Some(Found {
                    row,
                    at,
                    link,
                    text,
                }));
            }
        }
        link = at + NEXT;
    }
    Err(corrupt("the names of a bucket go round in a circle"))
}

/// The object in a row of the directory, as a name's row has it: its row + 1, or 0.
fn named(operation: &Operation, word: u64) -> Result<Option<ObjectId>> {
    let Some(row) = word.checked_sub(1) else {
        return Ok(None);
    };
    let at = object_at(operation.segment, row)?;
    let serial = operation.read(at);
    Ok(Some(ObjectId { row, serial }))
}

fn leads_to(operation: &Operation, at: u64, text: Text) -> Result<Named> {
    let id = named(operation, operation.read(at + OBJECT))?;
    Ok(Named {
        id: id.ok_or_else(|| corrupt("a name leads nowhere"))?,
        companion: named(operation, operation.read(at + COMPANION))?,
        description: text.description,
    })
}

/// What a name leads to now. It is not held: `send` makes sure of it, or finds that it is gone.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
pub fn lookup(caller: Caller, name: &str) -> Result<Option<Named>> {
    with_tables(caller, |operation| {
        let found = search(operation, name.as_bytes())?;
        let found = found.map(|found| leads_to(operation, found.at, found.text));
        Ok(Ok(found.transpose()?))
    })
}

/// Writes the entry that counts one more reference; where the object's row is.
fn take_reference(operation: &mut Operation, id: ObjectId) -> Attempt<u64> {
    let at = living(operation, id)?;
    let references = operation.read(at + REFERENCES);
    operation.write(at + REFERENCES, references.wrapping_add(1));
    Ok(at)
}

/// Gives an object that this process holds a name; false if the name is taken.
///
/// # Errors
/// `Full`, with nothing changed; `NotFound` if the object is gone.
///
/// # Crash
/// One record: the name leads to the whole object, or there is no such name. The object is its
/// maker's until then, and goes with it. The same record makes one bucket more, if one is due, and
/// those who wait for names are woken, by whoever recovers us if need be.
pub fn bind(
    caller: Caller,
    name: &str,
    description: &[u8],
    id: ObjectId,
    companion: Option<ObjectId>,
) -> Result<bool> {
    if name.is_empty() || name.len() > LONGEST_NAME || description.len() > LONGEST_DESCRIPTION {
        return Err(Error::Refused(format!(
            "a name of {} bytes, described by {}: expected 1 to {LONGEST_NAME}, and at most \
             {LONGEST_DESCRIPTION}",
            name.len(),
            description.len()
        )));
    }
    let block = write(caller, name.as_bytes(), description)?;
    let (name, mut is_crowded) = (name.as_bytes(), false);
    loop {
        let mut lacks_buckets = false;
        let given = with_tables(caller, |operation| {
            if search(operation, name)?.is_some() {
                return Ok(Ok(false));
            }
            let given = give(operation, name, &block, [Some(id), companion], !is_crowded)?;
            lacks_buckets = given.is_err_and(|missing| missing.head == superblock::BUCKETS);
            Ok(given)
        });
        match given {
            // There may be room for the name all the same.
            Err(Error::Full(_)) if lacks_buckets => is_crowded = true,
            given => return given,
        }
    }
}

/// Writes and commits the record that gives a name that nobody has.
fn give(
    operation: &mut Operation,
    name: &[u8],
    block: &PendingBlock,
    objects: [Option<ObjectId>; 2],
    with_buckets: bool,
) -> Attempt<std::result::Result<bool, Missing>> {
    let free = operation.read(superblock::FREE_NAME);
    let row = match free {
        0 => operation.read(superblock::NEXT_NAME),
        free => free - 1,
    };
    let at = place!(operation.segment, superblock::NAMES, row, NAME_ROW);
    if with_buckets && let Err(missing) = add_bucket(operation)? {
        return Ok(Err(missing));
    }
    if free == 0 {
        operation.write(superblock::NEXT_NAME, row + 1);
    } else {
        let next = operation.read(at + NEXT);
        operation.write(superblock::FREE_NAME, next);
    }
    for (id, word) in objects.into_iter().zip([OBJECT, COMPANION]) {
        operation.write(at + word, id.map_or(0, |id| id.row + 1));
        let Some(id) = id else { continue };
        let counted = take_reference(operation, id)?;
        if word == OBJECT && operation.read(counted + NAME) == 0 {
            operation.write(counted + NAME, row + 1);
        }
    }
    let bucket = bucket(operation, hash(name))?;
    let first = operation.read(bucket);
    operation.write(at, block.block());
    operation.write(at + NEXT, first);
    operation.write(bucket, row + 1);
    let live = operation.read(superblock::LIVE_NAMES);
    operation.write(superblock::LIVE_NAMES, live.wrapping_add(1));
    if seeded(Bug::NameInTwo) {
        operation.commit();
    }
    block.transfer(operation, 0);
    operation.queue_quiet_wake(superblock::NAMED);
    operation.commit();
    Ok(Ok(true))
}

/// Takes a name away; false if there is none. What it named goes with its last holder.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
///
/// # Crash
/// One record: the name is there with its object, or gone.
pub fn unbind(caller: Caller, name: &str) -> Result<bool> {
    let gone = with_tables(caller, |operation| {
        let Some(found) = search(operation, name.as_bytes())? else {
            return Ok(Ok(false));
        };
        let (row, at) = (found.row, found.at);
        let next = operation.read(at + NEXT);
        operation.write(found.link, next);
        if let Some(id) = operation.read(at + OBJECT).checked_sub(1) {
            let id = object_at(operation.segment, id)?;
            if operation.read(id + NAME) == row + 1 {
                operation.write(id + NAME, 0);
            }
        }
        for word in [at + OBJECT, at + COMPANION] {
            if let Some(row) = operation.read(word).checked_sub(1) {
                unreference(caller.space, operation, row)?;
            }
            operation.write(word, 0);
        }
        let block = operation.read(at);
        let free = operation.read(superblock::FREE_NAME);
        operation.write(at, 0);
        operation.write(at + NEXT, free);
        operation.write(superblock::FREE_NAME, row + 1);
        let live = operation.read(superblock::LIVE_NAMES);
        operation.write(superblock::LIVE_NAMES, live.saturating_sub(1));
        heap::discard(operation, block)?;
        operation.commit();
        Ok(Ok(true))
    })?;
    deferred_free::run(caller)?;
    Ok(gone)
}

/// A name, as lists have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub name: String,
    pub named: Named,
}

/// How many names there are.
pub fn count(segment: &Segment) -> u64 {
    let live = segment.word(superblock::LIVE_NAMES);
    live.load(Ordering::Relaxed)
}

fn spelled(name: Vec<u8>) -> Result<String> {
    String::from_utf8(name).map_err(|_| corrupt("a name that is no text"))
}

/// All names, in the order of their rows.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
pub fn names(caller: Caller) -> Result<Vec<Entry>> {
    with_tables(caller, |operation| {
        let mut entries = Vec::new();
        for (_, at) in rows::each(operation.segment, superblock::NAMES, NAME_ROW)? {
            if operation.read(at) != 0 {
                let text = Text::read(operation.segment, operation.read(at))?;
                let name = spelled(text.name.clone())?;
                let named = leads_to(operation, at, text)?;
                room::push(&mut entries, Entry { name, named })?;
            }
        }
        Ok(Ok(entries))
    })
}

/// The name of an object, if it has one: the first of several, as long as it has that.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
pub fn name_of(caller: Caller, id: ObjectId) -> Result<Option<String>> {
    let entry = entry_of(caller, id)?;
    Ok(entry.map(|entry| entry.name))
}

/// As `name_of`, with what it leads to.
///
/// # Errors
/// As `name_of`.
pub fn entry_of(caller: Caller, id: ObjectId) -> Result<Option<Entry>> {
    with_tables(caller, |operation| {
        let Ok(at) = living(operation, id) else {
            return Ok(Ok(None));
        };
        let Some(row) = operation.read(at + NAME).checked_sub(1) else {
            return Ok(Ok(None));
        };
        let at = row_at(operation.segment, row)?;
        if operation.read(at) == 0 || operation.read(at + OBJECT) != id.row + 1 {
            return Err(corrupt(format!("object {} has another's name", id.row)).into());
        }
        let text = Text::read(operation.segment, operation.read(at))?;
        let name = spelled(text.name.clone())?;
        let named = leads_to(operation, at, text)?;
        Ok(Ok(Some(Entry { name, named })))
    })
}

/// The blocks of the names, and the rows of the objects that they hold, one entry a reference.
/// The directory lock is held.
///
/// # Errors
/// `Corrupt`.
pub fn held_by_names(operation: &Operation) -> Result<(Vec<u64>, Vec<u64>)> {
    let (mut blocks, mut objects) = (Vec::new(), Vec::new());
    for (_, at) in rows::each(operation.segment, superblock::NAMES, NAME_ROW)? {
        if operation.read(at) == 0 {
            continue;
        }
        room::push(&mut blocks, operation.read(at))?;
        let held = [OBJECT, COMPANION].map(|word| operation.read(at + word));
        for object in held.into_iter().filter_map(|word| word.checked_sub(1)) {
            room::push(&mut objects, object)?;
        }
    }
    Ok((blocks, objects))
}

/// Whether each name is found by its hash, and an object that leads to a name to one of its own.
/// The directory lock is held.
///
/// # Errors
/// `Corrupt` names the first that is not so.
pub fn check_names(operation: &Operation) -> Result<()> {
    let mut found = found(operation)?;
    let mut live = 0;
    for (row, at) in rows::each(operation.segment, superblock::NAMES, NAME_ROW)? {
        if operation.read(at) == 0 {
            continue;
        }
        if !found.remove(&row) {
            return Err(corrupt(format!("the name in row {row} is in no bucket")));
        }
        live += 1;
    }
    let counted = operation.read(superblock::LIVE_NAMES);
    if !found.is_empty() || live != counted {
        return Err(corrupt(format!(
            "{counted} names are counted, {live} are there, and {} lead nowhere",
            found.len()
        )));
    }
    for (row, at) in rows::each(operation.segment, superblock::OBJECTS, OBJECT_ROW)? {
        if let Some(name) = operation.read(at + NAME).checked_sub(1)
            && operation.read(row_at(operation.segment, name)? + OBJECT) != row + 1
        {
            return Err(corrupt(format!("object {row} has another's name")));
        }
    }
    Ok(())
}
