//! Does the space contradict itself? Every block in exactly one state, every reference counted.
//!
//! Free blocks, tables and references are read under their locks. What threads have at hand, and
//! what an object's word links, changes without these; so all is collected twice, and judged if it
//! is the same and no record was carried through from the first time to the second (`progress`).
//! Beside writers that never pause no such moment may be found: then figures are given, and nobody is
//! accused.

use crate::change::operation::{self, Operation};
use crate::change::progress::Progress;
use crate::error::{Attempt, Error, Result, corrupt};
use crate::memory::layout::{self, CLASSES, SLOTS, WORD, block, kind, record, slot, superblock};
use crate::memory::segment::Segment;
use crate::object::{directory, holding, rows};
use crate::process::participant::{FREE, State};
use crate::report::census::{self, Census};
use crate::room;
use crate::space::{Space, WaitPolicy, deferred_free, pin};
use crate::sync::Ordering;
use crate::{heap, os};
use std::collections::HashMap;

/// Walks the whole space, and proves that it does not contradict itself. What the dead still hold is
/// given back first.
///
/// # Errors
/// `Corrupt` names the first contradiction.
pub fn check(space: &Space, wait: WaitPolicy) -> Result<Census> {
    space.sweep(wait)?;
    let caller = space.caller(wait)?;
    let segment = &space.segment;
    census::see_superblock(segment)?;
    for _ in 0..ATTEMPTS {
        let looked = caller.run(|operation| look(space, operation));
        let (quiet, snapshot, walk) = looked?;
        if quiet {
            snapshot.judge(&walk)?;
            return snapshot.census(space, &walk);
        }
        os::yield_now();
    }
    let (_, snapshot, walk) = caller.run(|operation| look(space, operation))?;
    snapshot.census(space, &walk)
}

/// How often a quiet moment is looked for.
const ATTEMPTS: u32 = 200;

/// Collects twice under the locks; true if nothing moved while it was collected first.
fn look(space: &Space, operation: &mut Operation) -> Attempt<(bool, Snapshot, heap::Walk)> {
    operation.lock(superblock::DIRECTORY_LOCK)?;
    operation.lock(superblock::RETIRED_LOCK)?;
    directory::check_names(operation)?;
    let walk = heap::walk(operation)?;
    let first = Snapshot::collect(space, operation)?;
    let second = Snapshot::collect(space, operation)?;
    let quiet = first == second && first.progress.is_at_rest();
    Ok((quiet, second, walk))
}

/// Everything that claims a block or holds a reference.
#[derive(PartialEq, Eq)]
struct Snapshot {
    /// How far the records had come before the rest was read.
    progress: Progress,
    /// The next block's serial, and each object's version: changes without a record show there.
    versions: Vec<u64>,
    participants: u64,
    claims: Vec<(u64, &'static str)>,
    /// The row of each membership's and each ticket's object.
    members: Vec<u64>,
    tickets: Vec<u64>,
    /// What makes no sense, if it stays so.
    broken: Option<String>,
    /// The row of each object that a value or a name links, one a link.
    links: Vec<u64>,
    objects: Vec<directory::Listed>,
}

const RETIRED: &str = "retired";
const TABLE: &str = "a table";
const NAME: &str = "a name";
const AT_HAND: &str = "in a magazine";
const DEFERRED_FREE: &str = "being taken apart";
const LEASED: &str = "on a lease";
const PENDING: &str = "pending";
const OBJECT: &str = "part of an object";
const FREE_BLOCK: &str = "free in its chunk";

impl Snapshot {
    /// Reads it all, under the locks of the directory, of the retired list and of the heap.
    fn collect(space: &Space, operation: &Operation) -> Attempt<Snapshot> {
        let segment = &space.segment;
        let read = |offset| segment.word(offset).load(Ordering::Acquire);
        let mut snapshot = Snapshot {
            progress: Progress::read(segment),
            versions: vec![read(superblock::NEXT_SERIAL)],
            participants: 0,
            claims: Vec::new(),
            members: Vec::new(),
            links: Vec::new(),
            broken: None,
            tickets: directory::tickets(operation)?,
            objects: directory::list(operation)?,
        };
        let retired = pin::list(operation)?;
        snapshot.claim(retired, RETIRED)?;
        snapshot.add_table(segment, superblock::OBJECTS)?;
        snapshot.add_table(segment, superblock::TICKETS)?;
        snapshot.add_table(segment, superblock::NAMES)?;
        snapshot.add_table(segment, superblock::BUCKETS)?;
        let (blocks, named) = directory::held_by_names(operation)?;
        snapshot.claim(blocks, NAME)?;
        room::append(&mut snapshot.links, &named)?;
        for slot in (0..SLOTS).filter(|&slot| State::read(segment, slot).state != FREE) {
            snapshot.add_participant(space, slot)?;
        }
        for index in 0..snapshot.objects.len() {
            let object = &snapshot.objects[index];
            snapshot.add(space, object.root.0, OBJECT)?;
        }
        let (mut deferred, mut steps) = (read(superblock::DEFERRED_FREE), 0);
        while deferred != 0 && steps < segment.size() / layout::LINE {
            snapshot.add(space, deferred, DEFERRED_FREE)?;
            deferred = read(deferred + block::SERIAL);
            steps += 1;
        }
        room::push(&mut snapshot.versions, read(superblock::NEXT_SERIAL))?;
        Ok(snapshot)
    }

    fn claim(&mut self, blocks: Vec<u64>, state: &'static str) -> Result<()> {
        room::reserve(&mut self.claims, blocks.len())?;
        let blocks = blocks.into_iter();
        self.claims.extend(blocks.map(|block| (block, state)));
        Ok(())
    }

    /// A block and what it consists of.
    fn add(&mut self, space: &Space, block: u64, state: &'static str) -> Result<()> {
        space.segment.check_range(block, block::SMALL)?;
        let found = match (space.hooks.blocks)(&space.segment, block) {
            Ok(found) => found,
            // Perhaps only because it changed meanwhile: then another snapshot differs.
            Err(Error::Corrupt(what)) => {
                self.broken = Some(what);
                return room::push(&mut self.claims, (block, state));
            }
            Err(error) => return Err(error),
        };
        room::push(&mut self.versions, found.version)?;
        self.claim(found.blocks, state)?;
        room::append(&mut self.links, &found.links)
    }

    /// A block in somebody's hands, and what it names.
    fn add_hidden(&mut self, space: &Space, block: u64, state: &'static str) -> Result<()> {
        space.segment.check_range(block, block::SMALL)?;
        if kind::has_contents(deferred_free::kind_of(&space.segment, block)) {
            return self.add(space, block, state);
        }
        room::push(&mut self.claims, (block, state))
    }

    fn add_table(&mut self, segment: &Segment, head: u64) -> Result<()> {
        for part in 0..rows::SEGMENTS {
            let payload = segment.word(head + part * WORD).load(Ordering::Relaxed);
            if payload != 0 {
                let block = heap::block_of(segment, payload)?;
                room::push(&mut self.claims, (block, TABLE))?;
            }
        }
        Ok(())
    }

    /// What a participant has at hand, fills, and holds.
    fn add_participant(&mut self, space: &Space, slot: u64) -> Result<()> {
        let segment = &space.segment;
        let read = |offset| segment.word(offset).load(Ordering::Relaxed);
        self.participants += 1;
        for index in 0..slot::RECORD_COUNT {
            let record = layout::thread_record(slot, index);
            for magazine in (0..CLASSES.len()).map(|class| operation::magazine(record, class)) {
                for at in 1..=read(magazine).min(record::MAGAZINE_ROOM) {
                    room::push(&mut self.claims, (read(magazine + at * WORD), AT_HAND))?;
                }
            }
        }
        let base = layout::slot_record(slot);
        let pending = base + slot::MORE_PENDING;
        self.add_table(segment, pending)?;
        let pending = rows::each(segment, pending, WORD)?;
        for block in pending.into_iter().map(|(_, at)| read(at)) {
            if block == 0 {
                continue;
            }
            self.add_hidden(space, block, PENDING)?;
        }
        let holdings = base + slot::HOLDINGS;
        self.add_table(segment, holdings)?;
        for (_, row) in rows::each(segment, holdings, holding::ROW)? {
            let block = read(row + holding::BLOCK);
            if read(row) != 0 && block != 0 {
                self.add_hidden(space, block, LEASED)?;
            }
        }
        let members = base + slot::MEMBERS;
        self.add_table(segment, members)?;
        let rows = rows::each(segment, members, directory::MEMBER_ROW)?;
        let held = rows
            .into_iter()
            .map(|(_, at)| read(at))
            .filter(|&row| row != 0);
        let held = room::collect(held.map(|row| row - 1))?;
        room::append(&mut self.members, &held)
    }

    /// # Errors
    /// `Corrupt` names the first contradiction.
    fn judge(&self, walk: &heap::Walk) -> Result<()> {
        if let Some(what) = &self.broken {
            return Err(corrupt(what.clone()));
        }
        let mut owners: HashMap<u64, &str> = HashMap::new();
        room::reserve_in(&mut owners, walk.free.len() + self.claims.len())?;
        let free = walk.free.iter().map(|&block| (block, FREE_BLOCK));
        for (block, owner) in free.chain(self.claims.iter().copied()) {
            if let Some(other) = owners.insert(block, owner) {
                return Err(corrupt(format!(
                    "block {block:#x} is {owner} and also {other}"
                )));
            }
        }
        for (block, _) in &walk.blocks {
            if owners.remove(block).is_none() {
                return Err(corrupt(format!("block {block:#x} belongs to nobody")));
            }
        }
        if let Some((block, owner)) = owners.iter().next() {
            return Err(corrupt(format!("{block:#x}, {owner}, is no block")));
        }
        let mut references: HashMap<u64, u64> = HashMap::new();
        for row in self.members.iter().chain(&self.tickets).chain(&self.links) {
            room::reserve_in(&mut references, 1)?;
            *references.entry(*row).or_default() += 1;
        }
        for object in &self.objects {
            let counted = references.remove(&object.row).unwrap_or(0);
            if counted != object.references {
                return Err(corrupt(format!(
                    "object {} has {} references, {counted} were found",
                    object.row, object.references
                )));
            }
        }
        match references.keys().next() {
            Some(row) => Err(corrupt(format!(
                "a reference names object {row}, which is gone"
            ))),
            None => Ok(()),
        }
    }

    fn census(&self, space: &Space, walk: &heap::Walk) -> Result<Census> {
        let at_hand = self.claims.iter().filter(|claim| claim.1 == AT_HAND);
        let at_hand = at_hand.map(|&(block, _)| block);
        let mut idle = room::collect(at_hand.chain(walk.free.iter().copied()))?;
        idle.sort_unstable();
        let count = |wanted: &[&str]| {
            self.claims
                .iter()
                .filter(|claim| wanted.contains(&claim.1))
                .count() as u64
        };
        let size = space.segment.size() - space.segment.data();
        let used = walk
            .blocks
            .iter()
            .filter(|(block, _)| idle.binary_search(block).is_err())
            .map(|&(_, bytes)| bytes)
            .sum();
        Ok(Census {
            size,
            used,
            live_blocks: count(&[TABLE, NAME, OBJECT, LEASED]),
            idle_blocks: count(&[RETIRED, AT_HAND, PENDING, DEFERRED_FREE]),
            objects: self.objects.len() as u64,
            names: count(&[NAME]),
            tickets: self.tickets.len() as u64,
            participants: self.participants,
            free: size.saturating_sub(used),
            taken: space.memory()?.taken,
        })
    }
}
