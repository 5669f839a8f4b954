//! Names of objects: each a counted reference, so that what it names lives on with nobody there.
//!
//! A name's row: `block | object row + 1 | companion's row + 1 | next`. The companion is another
//! object that this one cannot do without (a condition's lock), or 0. `next` leads on in the list
//! of a bucket; in a free row the block is 0 and `next` the next free row + 1. The block holds
//! `hash | bytes of the name + (bytes of the description << 32)`, then both. What a description
//! says is the binding's affair: what the object was declared as. All of it is guarded by the
//! directory lock.

use super::{Missing, REFERENCES, living, object_at, unreference, with_tables};
use crate::doom;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::heap;
use crate::layout::{self, WORD, block, kind, superblock};
use crate::operation::Operation;
use crate::participant::Participant;
use crate::roster::ObjectId;
use crate::rows::{self, Place};
use crate::seed::{Bug, planted};
use crate::segment::Segment;
use crate::space::{Patience, Space};
use crate::sync::Ordering;
use crate::unfinished::Unfinished;

pub const NAME_ROW: u64 = 4 * WORD;

/// The most bytes of a name: 255 characters of any script.
pub const LONGEST_NAME: usize = 255 * 4;
/// The most bytes of a description.
pub const LONGEST_DESCRIPTION: usize = 1 << 20;

const OBJECT: u64 = WORD;
const COMPANION: u64 = 2 * WORD;
const NEXT: u64 = 3 * WORD;

const LENGTHS: u64 = WORD;
const TEXT: u64 = 2 * WORD;

/// What a name leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    pub object: ObjectId,
    pub companion: Option<ObjectId>,
    pub description: Vec<u8>,
}

fn hash(name: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(name)
}

fn bucket(hash: u64) -> u64 {
    superblock::BUCKETS + hash % superblock::BUCKET_COUNT * WORD
}

fn row_at(segment: &Segment, row: u64) -> Result<u64> {
    match rows::place(segment, superblock::NAMES, row, NAME_ROW)? {
        Place::At(at) => Ok(at),
        Place::Missing(_) => Err(corrupt(format!("there is no row {row} of names"))),
    }
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

/// The hash of the name in a block, as data of a peer.
fn hash_in(segment: &Segment, block: u64) -> Result<u64> {
    segment.check_range(block, block::SMALL)?;
    let payload = segment.at(heap::payload(segment, block))?;
    Ok(payload.load(Ordering::Relaxed))
}

/// Puts a name and a description into a block, with nothing held.
fn write<'a>(
    space: &'a Space,
    participant: &'a Participant,
    patience: Patience,
    name: &[u8],
    description: &[u8],
) -> Result<Unfinished<'a>> {
    let (first, second) = (name.len() as u64, description.len() as u64);
    let length = TEXT + layout::align_up(first, WORD) + layout::align_up(second, WORD);
    let block = Unfinished::allocate(space, participant, patience, length, kind::PLAIN)?;
    let (segment, payload) = (&space.segment, block.payload());
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
    let mut link = bucket(hash);
    for _ in 0..=operation.read(superblock::NEXT_NAME) {
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
    let object = named(operation, operation.read(at + OBJECT))?;
    Ok(Named {
        object: object.ok_or_else(|| corrupt("a name leads nowhere"))?,
        companion: named(operation, operation.read(at + COMPANION))?,
        description: text.description,
    })
}

/// What a name leads to now. It is not held: `send` makes sure of it, or finds that it is gone.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
pub fn lookup(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    name: &str,
) -> Result<Option<Named>> {
    with_tables(space, participant, patience, |operation| {
        let found = search(operation, name.as_bytes())?;
        let found = found.map(|found| leads_to(operation, found.at, found.text));
        Ok(Ok(found.transpose()?))
    })
}

fn take_reference(operation: &mut Operation, object: ObjectId) -> Attempt<()> {
    let at = living(operation, object)?;
    let references = operation.read(at + REFERENCES);
    operation.write(at + REFERENCES, references.wrapping_add(1));
    Ok(())
}

/// Gives an object that this process holds a name; false if the name is taken.
///
/// # Errors
/// `Full`, with nothing changed; `NotFound` if the object is gone.
///
/// # Crash
/// One record: the name leads to the whole object, or there is no such name. The object is its
/// maker's until then, and goes with it.
pub fn bind(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    name: &str,
    description: &[u8],
    object: ObjectId,
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
    let block = write(
        space,
        participant,
        &mut *patience,
        name.as_bytes(),
        description,
    )?;
    with_tables(space, participant, patience, |operation| {
        if search(operation, name.as_bytes())?.is_some() {
            return Ok(Ok(false));
        }
        let free = operation.read(superblock::FREE_NAME);
        let row = match free {
            0 => operation.read(superblock::NEXT_NAME),
            free => free - 1,
        };
        let at = place!(operation.segment, superblock::NAMES, row, NAME_ROW);
        if free == 0 {
            operation.write(superblock::NEXT_NAME, row + 1);
        } else {
            let next = operation.read(at + NEXT);
            operation.write(superblock::FREE_NAME, next);
        }
        take_reference(operation, object)?;
        if let Some(companion) = companion {
            take_reference(operation, companion)?;
        }
        let bucket = bucket(hash(name.as_bytes()));
        let first = operation.read(bucket);
        operation.write(at, block.block());
        operation.write(at + OBJECT, object.row + 1);
        operation.write(at + COMPANION, companion.map_or(0, |object| object.row + 1));
        operation.write(at + NEXT, first);
        operation.write(bucket, row + 1);
        let live = operation.read(superblock::LIVE_NAMES);
        operation.write(superblock::LIVE_NAMES, live.wrapping_add(1));
        if planted(Bug::NameInTwo) {
            operation.commit();
        }
        block.pass_on(operation, 0);
        operation.commit();
        Ok(Ok(true))
    })
}

/// Takes a name away; false if there is none. What it named goes with its last holder.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
///
/// # Crash
/// One record: the name is there with its object, or gone.
pub fn unbind(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    name: &str,
) -> Result<bool> {
    let gone = with_tables(space, participant, &mut *patience, |operation| {
        let Some(found) = search(operation, name.as_bytes())? else {
            return Ok(Ok(false));
        };
        let (row, at) = (found.row, found.at);
        let next = operation.read(at + NEXT);
        operation.write(found.link, next);
        for word in [at + OBJECT, at + COMPANION] {
            if let Some(row) = operation.read(word).checked_sub(1) {
                unreference(space, operation, row)?;
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
    doom::crumble(space, participant, patience)?;
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

/// All names, in the order of their rows.
///
/// # Errors
/// `Corrupt`, `Interrupted`.
pub fn names(space: &Space, participant: &Participant, patience: Patience) -> Result<Vec<Entry>> {
    with_tables(space, participant, patience, |operation| {
        let mut entries = Vec::new();
        for (_, at) in rows::each(operation.segment, superblock::NAMES, NAME_ROW)? {
            if operation.read(at) != 0 {
                let text = Text::read(operation.segment, operation.read(at))?;
                let name = String::from_utf8(text.name.clone())
                    .map_err(|_| corrupt("a name that is no text"))?;
                let named = leads_to(operation, at, text)?;
                entries.push(Entry { name, named });
            }
        }
        Ok(Ok(entries))
    })
}

/// The name of an object, if it has one.
///
/// # Errors
/// As `names`.
pub fn name_of(
    space: &Space,
    participant: &Participant,
    patience: Patience,
    object: ObjectId,
) -> Result<Option<String>> {
    if count(&space.segment) == 0 {
        return Ok(None);
    }
    let entries = names(space, participant, patience)?;
    let found = entries
        .into_iter()
        .find(|entry| entry.named.object == object);
    Ok(found.map(|entry| entry.name))
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
        blocks.push(operation.read(at));
        let held = [OBJECT, COMPANION].map(|word| operation.read(at + word));
        objects.extend(held.into_iter().filter_map(|word| word.checked_sub(1)));
    }
    Ok((blocks, objects))
}
