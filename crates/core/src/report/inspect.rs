//! What a space holds, as people ask: which objects, who uses, holds and awaits them.

use crate::change::lock;
use crate::change::operation::Operation;
use crate::change::waiting::{self, Wait, Who};
use crate::error::Result;
use crate::heap;
use crate::kind;
use crate::memory::layout::superblock::NAMED;
use crate::memory::layout::{self, SLOTS, slot};
use crate::memory::segment::Segment;
use crate::object::kind::Kind;
pub use crate::object::kind::Readiness;
use crate::object::sample::Sample;
use crate::object::{self, OWNER};
use crate::object::{directory, holding, rows};
use crate::offset::{self, Root};
use crate::process::membership_cache::ObjectId;
use crate::process::participant::{self, FREE, LIVE, State};
use crate::space::reading::Reading;
use crate::space::{Caller, Space, WaitPolicy};
use crate::sync::Ordering;
use std::collections::HashMap;

/// How often reading an object's blocks is tried while others change it.
const TRIES: u32 = 30;
/// Blocks whose sizes are looked up while the heap is locked.
const AT_ONCE: usize = 500;

/// A process that is registered, or was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pub slot: u64,
    /// Its number in its own PID namespace.
    pub process_id: u64,
    /// The boot clock when it registered, in nanoseconds.
    pub started: u64,
    pub alive: bool,
    /// Whether it said that it comes to its end by itself.
    pub ended: bool,
    /// How many handles it holds.
    pub handles: u64,
}

/// Who holds an object's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    pub slot: u64,
    /// Its thread or task; serial 0 for a lock that does not know.
    pub who: Who,
}

/// Something that a process has of an object: permits, items taken, a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    pub slot: u64,
    pub amount: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    pub id: ObjectId,
    /// The class that its object shows, and its bytes in place.
    pub class: &'static str,
    pub length: u64,
    /// Bytes of all its blocks, and how many these are; of a large object estimated from some of them.
    pub bytes: u64,
    pub blocks: u64,
    /// Entries, items, permits: where its kind counts something.
    pub count: Option<u64>,
    /// How many items a queue may have now, or a deque; None where there is no such bound.
    pub most: Option<u64>,
    /// Of a queue that is bounded in bytes, what its items count and may count.
    pub counted: Option<(u64, u64)>,
    pub version: u64,
    pub references: u64,
    /// How often somebody has had to sleep for it.
    pub contention: u64,
    /// The slots of those who have handles, one entry a handle.
    pub users: Vec<u64>,
    pub holder: Option<Holder>,
    pub holdings: Vec<Holding>,
    pub waits: Vec<Wait>,
    pub name: Option<directory::Entry>,
}

/// All of it, as it was at one moment as far as the directory goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    pub processes: Vec<Process>,
    pub objects: Vec<Object>,
    /// Who waits until a name is given.
    pub waits: Vec<Wait>,
}

/// Looks at all objects, or `only` that one, and all processes. The dead are told of, not
/// recovered. An object costs as much as it has blocks, but no more than some thousands of them; the
/// processes cost as much as they have handles. Blocks are read with no lock held, as they are found
/// beside those who change the object.
///
/// # Errors
/// `Corrupt`, `Interrupted`, `System`.
pub fn view(space: &Space, wait: WaitPolicy, only: Option<ObjectId>) -> Result<View> {
    let caller = space.caller(wait)?;
    let mut named: HashMap<ObjectId, directory::Entry> = HashMap::new();
    if let Some(id) = only {
        let entry = directory::entry_of(caller, id)?;
        named.extend(entry.map(|entry| (id, entry)));
    } else {
        for entry in directory::names(caller)? {
            named.insert(entry.named.id, entry);
        }
    }
    let (mut view, roots) = caller.run(|operation| {
        operation.lock(layout::superblock::DIRECTORY_LOCK)?;
        operation.lock(layout::superblock::HEAP_LOCK)?;
        Ok(collect(operation, only)?)
    })?;
    for (id, root) in view.objects.iter_mut().zip(roots) {
        let sample = sample_of(space, root);
        id.blocks = sample
            .blocks
            .iter()
            .map(|(_, each)| each)
            .sum::<f64>()
            .round() as u64;
        id.bytes = bytes(caller, &sample)?;
        id.name = named.remove(&id.id);
    }
    Ok(view)
}

/// Blocks of an object, read with no lock held, so that nobody has to wait meanwhile. What fails because
/// others change the object is tried again. If all tries fail, only its first block counts.
fn sample_of(space: &Space, root: Root) -> Sample {
    let found = (0..TRIES).find_map(|_| {
        let _reading = Reading::new(&space.segment);
        kind::sample(&space.segment, root).ok()
    });
    found.unwrap_or_else(|| {
        let mut sample = Sample::default();
        sample.add(root.0);
        sample
    })
}

/// How many bytes blocks take with those that they stand for; those that were freed meanwhile none.
fn bytes(caller: Caller, sample: &Sample) -> Result<u64> {
    let mut bytes = 0.0;
    for blocks in sample.blocks.chunks(AT_ONCE) {
        bytes += caller.run(|operation| {
            operation.lock(layout::superblock::HEAP_LOCK)?;
            let size = |&(block, each): &(u64, f64)| match heap::size(operation, block) {
                Ok(size) => size as f64 * each,
                Err(_) => 0.0,
            };
            Ok(blocks.iter().map(size).sum::<f64>())
        })?;
    }
    Ok(bytes.round() as u64)
}

/// All but what is in the objects' blocks, and the root of each. The locks of the directory and of
/// the heap are held.
fn collect(operation: &mut Operation, only: Option<ObjectId>) -> Result<(View, Vec<Root>)> {
    let segment = operation.segment;
    let mut roots = Vec::new();
    let mut view = View::default();
    let mut users: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut holdings: HashMap<ObjectId, Vec<Holding>> = HashMap::new();
    for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
        let process = process(segment, slot, only, &mut users, &mut holdings)?;
        view.processes.push(process);
    }
    let waits = waiting::waits(segment);
    let for_names = waits.iter().filter(|wait| wait.word == NAMED.0);
    view.waits = for_names.copied().collect();
    let listed = match only {
        Some(id) => directory::listed(operation, id).into_iter().collect(),
        None => directory::list(operation)?,
    };
    for listed in listed {
        let id = ObjectId {
            row: listed.row,
            serial: listed.serial,
        };
        let Ok((object, kind, length)) = object::at(segment, listed.root) else {
            continue; // check tells of it
        };
        let kind = kind::of(kind).unwrap_or(&Kind::PLAIN);
        let start = listed.root.0;
        let end = start + heap::size(operation, start).unwrap_or(0);
        roots.push(listed.root);
        view.objects.push(Object {
            id,
            class: kind.class,
            length,
            bytes: 0,
            blocks: 0,
            count: (kind.count)(segment, object),
            most: (kind.most)(segment, object),
            counted: (kind.counted)(segment, object),
            version: (kind.version)(segment, object),
            references: listed.references,
            contention: directory::waits(segment, listed.row),
            users: users.remove(&listed.row).unwrap_or_default(),
            holder: holder(segment, object)?,
            holdings: holdings.remove(&id).unwrap_or_default(),
            waits: waits
                .iter()
                .filter(|wait| (start..end).contains(&wait.word))
                .copied()
                .collect(),
            name: None,
        });
    }
    Ok((view, roots))
}

fn process(
    segment: &Segment,
    slot: u64,
    only: Option<ObjectId>,
    users: &mut HashMap<u64, Vec<u64>>,
    holdings: &mut HashMap<ObjectId, Vec<Holding>>,
) -> Result<Process> {
    let base = layout::slot_record(slot);
    let read = |offset| segment.word(offset).load(Ordering::Relaxed);
    let mut handles = 0;
    for (_, at) in rows::each(segment, base + slot::MEMBERS, directory::MEMBER_ROW)? {
        if let Some(row) = read(at).checked_sub(1) {
            if only.is_none_or(|only| only.row == row) {
                users.entry(row).or_default().push(slot);
            }
            handles += 1;
        }
    }
    for (_, at) in rows::each(segment, base + slot::HOLDINGS, holding::ROW)? {
        if let Some(row) = read(at).checked_sub(1) {
            let serial = read(at + holding::SERIAL);
            let amount = read(at + holding::AMOUNT);
            let of = holdings.entry(ObjectId { row, serial }).or_default();
            of.push(Holding { slot, amount });
        }
    }
    let alive = State::read(segment, slot).state == LIVE
        && participant::is_alive(segment, slot)
            .map_err(|e| participant::system("fcntl", segment, e))?;
    Ok(Process {
        slot,
        process_id: read(base + slot::PROCESS_ID),
        started: read(base + slot::STARTED),
        alive,
        ended: read(base + slot::ENDED) != 0,
        handles,
    })
}

/// Who holds the lock that an object begins with.
fn holder(segment: &Segment, object: offset::Object) -> Result<Option<Holder>> {
    let word = segment.word(object.0).load(Ordering::Acquire); // as `lock::is_held` needs
    if word == 0 || !lock::is_held(segment, word)? {
        return Ok(None);
    }
    let owner = segment.word(object + OWNER).load(Ordering::Relaxed);
    Ok(lock::owner(word)?.map(|me| Holder {
        slot: me.slot,
        who: waiting::who(segment, me.slot, owner >> 32),
    }))
}

/// A number that changes with every change of an object.
pub fn version(segment: &Segment, object: offset::Object, kind: u64) -> u64 {
    let kind = kind::of(kind).unwrap_or(&Kind::PLAIN);
    (kind.version)(segment, object)
}

/// Whether the call that waits for an object of a kind would wait now; None: there is no one such call.
pub fn readiness(segment: &Segment, object: offset::Object, kind: u64) -> Option<Readiness> {
    let kind = kind::of(kind).unwrap_or(&Kind::PLAIN);
    (kind.readiness)(segment, object)
}
