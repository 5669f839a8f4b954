//! Which keys of a table were changed last, so that a watcher need not search all of it.
//!
//! A table that somebody has watched has a block for this, which the `RECENT` word of each shard names.
//! In it each shard has places for its last `DEPTH` changes: that which makes the sequence `2 n + 2` of `2 n`
//! is at place `n % DEPTH`, as the hash of its key and its *turn*, by which changes of different shards come
//! in order.
//!
//! ```text
//! next turn, 7 words | shard 0: hash, turn; ... | shard 1 | ... | shard 7
//! ```
//!
//! A writer stores both under the shard's lock before it commits. So if it dies, either nothing was
//! changed, and the next change is stored over it, or what it changed is here. A reader that finds the
//! sequence as it was before has read whole places of all changes but the oldest: over that the next one may
//! just be written.

use super::state::{LENGTH, RECENT, SEQUENCE, SHARDS, Shard, Table};
use crate::change::operation::Operation;
use crate::error::Result;
use crate::heap;
use crate::memory::layout::{LINE, WORD, block, kind};
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::space::pending_block::PendingBlock;
use crate::sync::Ordering;

/// Changes of a shard that are kept: as many as find room in a block of 8 KiB.
const DEPTH: u64 = 63;

const PLACE: u64 = 2 * WORD;
const BYTES: u64 = LINE + SHARDS * DEPTH * PLACE;
const _: () = assert!(BYTES + block::SMALL <= 8 << 10);
const _: () = assert!(LENGTH == SHARDS * LINE, "a shard is a line");

/// What a change of a shard changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// The key with this hash.
    Key(u64),
    /// Several keys.
    Many,
    /// Where entries are, and nothing that they say.
    Order,
}

const MANY: u64 = 0;
const ORDER: u64 = 1;

impl Changed {
    fn word(self) -> u64 {
        match self {
            Changed::Key(hash) if hash > ORDER => hash,
            Changed::Key(_) | Changed::Many => MANY,
            Changed::Order => ORDER,
        }
    }

    fn of(word: u64) -> Changed {
        match word {
            MANY => Changed::Many,
            ORDER => Changed::Order,
            hash => Changed::Key(hash),
        }
    }
}

impl Shard {
    /// Makes the record one that readers watch the shard for, and notes what it changes.
    pub(super) fn change(self, operation: &mut Operation, changed: Changed) {
        self.note(operation.segment, changed);
        operation.sequence(self.sequence());
    }

    /// As `change`, of a record that changes several shards: in a turn that they have together.
    pub(super) fn change_in(self, operation: &mut Operation, changed: Changed, turn: Option<u64>) {
        let block = operation.segment.word(self.0 + RECENT);
        self.note_in(
            operation.segment,
            block.load(Ordering::Relaxed),
            changed,
            turn,
        );
        operation.sequence(self.sequence());
    }

    /// Notes what is about to be changed, if anybody has watched the table: under the lock, before the
    /// commit.
    #[inline(always)]
    pub(super) fn note(self, segment: &Segment, changed: Changed) {
        let block = segment.word(self.0 + RECENT).load(Ordering::Relaxed);
        if block != 0 {
            self.note_in(segment, block, changed, None);
        }
    }

    #[inline(never)]
    fn note_in(self, segment: &Segment, block: u64, changed: Changed, turn: Option<u64>) {
        let Ok(Some(recent)) = Recent::new(segment, block) else {
            return; // a peer scribbled on it: those who watch see an error
        };
        let sequence = segment.word(self.0 + SEQUENCE).load(Ordering::Relaxed);
        let turn = turn.unwrap_or_else(|| recent.turn(segment));
        let place = recent.place(self, sequence / 2);
        let put = |at: u64, value: u64| segment.word(at).store(value, Ordering::Relaxed);
        put(
            place,
            if seeded(Bug::NotedAsOrder) {
                ORDER
            } else {
                changed.word()
            },
        );
        put(place + WORD, turn);
    }
}

/// The payload of a table's block of recent changes.
#[derive(Clone, Copy)]
pub(super) struct Recent(u64);

impl Recent {
    /// As a shard's word names it: data of a peer.
    fn new(segment: &Segment, block: u64) -> Result<Option<Recent>> {
        if block == 0 {
            return Ok(None);
        }
        segment.check_range(block, LINE)?;
        let payload = heap::payload(segment, block);
        segment.check_range(payload, BYTES)?;
        Ok(Some(Recent(payload)))
    }

    /// None: nobody has watched it.
    pub(super) fn of(segment: &Segment, object: Object) -> Result<Option<Recent>> {
        Recent::new(segment, block_word(segment, object))
    }

    fn turn(self, segment: &Segment) -> u64 {
        segment.word(self.0).fetch_add(1, Ordering::Relaxed)
    }

    fn place(self, shard: Shard, change: u64) -> u64 {
        // Shards are lines that follow one another: so each has a number of its own.
        let number = shard.0 / LINE % SHARDS;
        self.0 + LINE + (number * DEPTH + change % DEPTH) * PLACE
    }

    /// What was changed between two states of a shard's sequence, and in which turn; None: more than is
    /// kept. What is read is right if the sequence still has the later value after.
    pub(super) fn between(
        self,
        segment: &Segment,
        shard: Shard,
        from: u64,
        to: u64,
    ) -> Option<impl Iterator<Item = (Changed, u64)> + '_> {
        let count = to.wrapping_sub(from) / 2;
        let read = |at: u64| segment.word(at).load(Ordering::Relaxed);
        (count < DEPTH).then(|| {
            (0..count).map(move |index| {
                let place = self.place(shard, (from / 2).wrapping_add(index));
                (Changed::of(read(place)), read(place + WORD))
            })
        })
    }
}

/// A turn for a record that changes several shards, whose locks are held; None: nobody has watched.
pub(super) fn turn(segment: &Segment, object: Object) -> Result<Option<u64>> {
    Ok(Recent::of(segment, object)?.map(|recent| recent.turn(segment)))
}

fn block_word(segment: &Segment, object: Object) -> u64 {
    segment
        .word(Shard::at(object, 0).0 + RECENT)
        .load(Ordering::Acquire)
}

/// The block of recent changes, for those who list or free what a table consists of.
///
/// # Errors
/// `Corrupt`.
pub(super) fn block(segment: &Segment, object: Object) -> Result<Option<u64>> {
    let word = block_word(segment, object);
    Ok(Recent::new(segment, word)?.map(|_| word))
}

/// Writes the entries that take the block from the table, and free it.
///
/// # Errors
/// As the heap has it.
pub(super) fn discard(
    operation: &mut Operation,
    object: Object,
    block: u64,
) -> crate::error::Attempt<()> {
    for shard in Shard::all(object) {
        operation.write(shard.0 + RECENT, 0);
    }
    heap::discard(operation, block)
}

/// Has writers note what they change from now on, if they do not.
///
/// # Errors
/// `Full`, with nothing changed; `Interrupted`, `System`, `Corrupt`.
///
/// # Crash
/// One record gives the block to the table; before that it is ours.
pub(super) fn keep(caller: Caller, table: Table) -> Result<()> {
    let segment = &caller.space.segment;
    if Recent::of(segment, table.object)?.is_some() {
        return Ok(());
    }
    let new = PendingBlock::allocate(caller, BYTES, kind::PLAIN)?;
    segment.zero(new.payload(), BYTES);
    caller.run(|operation| {
        for shard in Shard::all(table.object) {
            operation.lock(shard.lock_word())?;
        }
        if Recent::of(segment, table.object)?.is_some() {
            return Ok(()); // another was here
        }
        for shard in Shard::all(table.object) {
            operation.write(shard.0 + RECENT, new.block());
        }
        new.transfer(operation, 0);
        // What the table consists of is another: who lists it must see that.
        operation.sequence(Shard::at(table.object, 0).sequence());
        operation.commit();
        crate::memory::crash_point!("table.kept");
        Ok(())
    })
}
