//! Where everything is: the byte layout of a segment. `docs/explanation/design.md` draws it.
//!
//! All words are 64 bits, little end first in the file of a little-endian machine, and aligned.
//! References are offsets from the start of the file; 0 is null.

use crate::offset::LockWord;

/// "COURTYRD" read as a word.
pub const MAGIC: u64 = u64::from_ne_bytes(*b"COURTYRD");
/// Changes with every change of this file; part of the file name (`.cy1`).
pub const VERSION: u64 = 1;

pub const WORD: u64 = 8;
pub const LINE: u64 = 64;
/// Every block starts at a multiple of this.
pub const GRAIN: u64 = 32;
pub const PAGE: u64 = 4096;
/// What the heap deals in: runs of whole units.
pub const UNIT: u64 = 16 << 10;

/// How many there are of what is scanned as a whole: few in a loom model, which explores all.
const fn many(really: u64, modelled: u64) -> u64 {
    if cfg!(loom) { modelled } else { really }
}

/// Participants of a space, the reserved one included.
pub const SLOTS: u64 = many(1024, 4);
/// The slot of a newcomer that finds no free one. It owns nothing.
pub const RESERVED_SLOT: u64 = SLOTS - 1;

/// Bytes far beyond any file: OFD locks there mean "alive" (one byte a slot) and "the gate".
pub const LIVENESS_BYTE: u64 = 1 << 40;
pub const GATE_BYTE: u64 = 1 << 41;

/// The superblock: immutable words first, under a CRC.
pub mod superblock {
    use crate::offset::{EventWord, LockWord};

    pub const MAGIC: u64 = 0x00;
    pub const VERSION: u64 = 0x08;
    pub const LAYOUT_HASH: u64 = 0x10;
    pub const UUID: u64 = 0x18; // two words
    pub const KIND: u64 = 0x28;
    pub const SLOTS: u64 = 0x30;
    pub const MAX_SIZE: u64 = 0x38;
    pub const DATA: u64 = 0x40;
    /// Of the name in `TITLE`: `bytes | CRC-32 << 32`; 0: it has none.
    pub const TITLED: u64 = 0x48;
    pub const CRC: u64 = 0x78;
    pub const IMMUTABLE: u64 = CRC;

    /// Bytes of the file that may be used. Written under `GROW_LOCK`, only ever larger.
    pub const SIZE: u64 = 0x80;
    pub const SIZE_LIMIT: u64 = 0x88;
    /// Boot clock second after which an abandoned space with open tickets may go. 0: not set.
    pub const ABANDONED: u64 = 0x90;
    /// Not 0: a record that could not be replayed was found.
    pub const DAMAGED: u64 = 0x98;
    /// Which file it was, and in which boot of the machine, when it was last opened by somebody
    /// who was alone in it. Anything else now: it is checked before use.
    pub const DEVICE: u64 = 0xA0;
    pub const INODE: u64 = 0xA8;
    pub const BOOT: u64 = 0xB0; // two words
    pub const GROW_LOCK: LockWord = LockWord(0xC0);
    /// How many units are given back: their pages are holes. Guarded by `HEAP_LOCK`; readers ask
    /// whether it is 0.
    pub const GIVEN: u64 = 0xC8;
    /// Of which units it is not known whether they are holes, though they are marked as given back:
    /// the first, and how many in the upper half; 0: of none. Guarded by `GROW_LOCK`.
    pub const GIVING: u64 = 0xD0;
    /// How many free units should be kept because such were missed lately, and when that was, in
    /// milliseconds of the boot clock. Never journaled: hints, stored under `GROW_LOCK`.
    pub const MISSED: u64 = 0xD8;
    pub const MISSED_AT: u64 = 0xE0;
    /// Not 0: no more memory could be had when it was last asked for, a number that is new each time. So
    /// long nobody keeps free blocks at hand. A hint, never journaled.
    pub const SCARCE: u64 = 0xE8;

    pub const HEAP_LOCK: LockWord = LockWord(0x100);
    /// Units ever taken into use, guarded by `HEAP_LOCK`.
    pub const FRONTIER: u64 = 0x108;
    /// No unit below this one starts a free run. Never journaled: always right, or too low.
    pub const FIRST_FREE: u64 = 0x110;
    /// Units in used runs, guarded by `HEAP_LOCK`.
    pub const USED: u64 = 0x118;
    /// Heads of the lists of chunks with free blocks, one a class, guarded by `HEAP_LOCK`.
    pub const PARTIAL: u64 = 0x140; // 24 words

    /// Never journaled: fetch_add only.
    pub const NEXT_SERIAL: u64 = 0x240;
    /// The bell of the space: an event word.
    pub const BELL: EventWord = EventWord(0x280);

    /// Retired blocks: unlinked, but pinned by a view when they were.
    pub const RETIRED_LOCK: LockWord = LockWord(0x2C0);
    pub const RETIRED: u64 = 0x2C8;
    /// How often pins were written beside others that may end: a scan that it changed in may have
    /// missed the one and the other.
    pub const MOVES: u64 = 0x2D0;

    /// Objects, tickets and memberships: all guarded by `DIRECTORY_LOCK`.
    pub const DIRECTORY_LOCK: LockWord = LockWord(0x300);
    pub const FREE_OBJECT: u64 = 0x308;
    pub const NEXT_OBJECT: u64 = 0x310;
    pub const LIVE_OBJECTS: u64 = 0x318;
    pub const FREE_TICKET: u64 = 0x320;
    pub const NEXT_TICKET_ROW: u64 = 0x328;
    pub const OPEN_TICKETS: u64 = 0x330;
    pub const NEXT_TICKET_ID: u64 = 0x338;
    pub const OBJECTS: u64 = 0x340; // segments of rows: `rows::SEGMENTS` words
    pub const TICKETS: u64 = 0x400;
    /// Blocks with contents that nobody holds and that are being taken apart, guarded by
    /// `DIRECTORY_LOCK`; a block's serial word leads to the next.
    pub const DEFERRED_FREE: u64 = 0x4C0;
    /// Names: first free row + 1, rows ever used, how many there are, how many buckets there are
    /// beyond the first 64; segments of rows; segments of buckets, the first of which are here.
    /// Guarded by `DIRECTORY_LOCK`.
    pub const FREE_NAME: u64 = 0x4C8;
    pub const NEXT_NAME: u64 = 0x4D0;
    pub const LIVE_NAMES: u64 = 0x4D8;
    pub const MORE_BUCKETS: u64 = 0x4E0;
    pub const NAMES: u64 = 0x500; // `rows::SEGMENTS` words
    pub const BUCKETS: u64 = 0x5C0; // `rows::SEGMENTS` words
    pub const FIRST_BUCKETS: u64 = 0x680;
    pub const END_OF_TABLES: u64 = FIRST_BUCKETS + super::FIRST_ROWS * 8;
    /// When one of those who wait last began to look after the dead, and the slot to go on from:
    /// `boot clock in milliseconds << 16 | slot`. Never journaled.
    pub const TURN: u64 = 0x880;
    /// An event word: an object got a name. It changes only if somebody waits for one.
    pub const NAMED: EventWord = EventWord(0x8C0);
    /// The space's own name, written before the file has one.
    pub const TITLE: u64 = 0xA00;
    pub const TITLE_ROOM: u64 = 0x400;
    /// Which lock those who wait for it last asked after, and when: `lock::asking`. Never journaled.
    pub const ASKED: u64 = 0xE00;
    pub const ASKED_WORDS: u64 = 64;
    // That is the page.
}

/// State words of the slots, one after another.
pub const SLOT_STATES: u64 = PAGE;
/// Lock words under which a dead participant's slot is drained. Never zeroed.
pub const DRAIN_LOCKS: u64 = SLOT_STATES + SLOTS * WORD;
pub const SLOT_RECORDS: u64 = DRAIN_LOCKS + SLOTS * WORD;

/// Rows of a table's first segment; each further one has twice as many as that before it.
pub const FIRST_ROWS: u64 = 64;
/// Bytes of an object's row.
pub const OBJECT_ROW: u64 = 5 * WORD;
/// Bytes of a row that says what is held of an object.
pub const HELD_ROW: u64 = 4 * WORD;

/// A slot's record: a page of tables, a page for each thread inside an operation, a page of holdings.
pub mod slot {
    use super::{PAGE, many};

    pub const STRIDE: u64 = 10 * PAGE;
    pub const PROCESS_ID: u64 = 0x00;
    pub const BOOT_ID: u64 = 0x08; // two words
    pub const STARTED: u64 = 0x18;
    /// Blocks too large for a magazine, between the heap and a link.
    pub const PENDING: u64 = 0x40;
    pub const PENDING_ROWS: u64 = 64;
    /// Blocks that a view of this process reads.
    pub const PINS: u64 = 0x240;
    pub const PIN_ROWS: u64 = many(64, 1);
    /// Objects that this process holds: segments of rows.
    pub const MEMBERS: u64 = 0x440; // `rows::SEGMENTS` words
    /// What this process holds of objects: permits, waits, leases: segments of rows.
    pub const HOLDINGS: u64 = 0x500; // `rows::SEGMENTS` words
    /// What threads of this process have been waiting for a while.
    pub const WAITS: u64 = 0x5C0;
    pub const WAIT_ROWS: u64 = 42;
    pub const WAIT_ROW: u64 = 24;
    /// The first segment of `MEMBERS`: who comes when a file system is full finds it there.
    pub const FIRST_MEMBERS: u64 = 0x9C0;
    pub const END_OF_MEMBERS: u64 = FIRST_MEMBERS + super::FIRST_ROWS * 8;
    /// Blocks in hand of the parent's that our views read since we were forked: a bit for each row
    /// that may name one, and the rows. They are pins, too.
    pub const LENT: u64 = 0xBC0;
    pub const LENT_ROWS: u64 = 0xBC8;
    /// Who keeps its memberships until ours are copied: its slot + 1 and generation; 0: nobody.
    pub const BORROWS: u64 = 0xDC8;
    /// Not 0: the process has come to its end by itself. Stored once, never journaled.
    pub const ENDED: u64 = 0xDD8;
    /// How many threads read without a lock just now: the GIL's holder, which stores the first, and
    /// others, which count themselves in the second. See `reading`.
    pub const READING_ALONE: u64 = 0xE00;
    pub const READING: u64 = 0xE08;
    /// More segments of `UNFINISHED`, whose first one it is: the first word here is 0.
    pub const MORE_PENDING: u64 = 0xF00; // `rows::SEGMENTS` words
    pub const END_OF_PENDING: u64 = MORE_PENDING + 24 * 8;
    pub const RECORDS: u64 = PAGE;
    pub const RECORD_COUNT: u64 = many(8, 2);
    /// The first segment of `HOLDINGS`: who takes something out of a full space finds it there.
    pub const FIRST_HOLDINGS: u64 = 9 * PAGE;
    pub const END_OF_HOLDINGS: u64 = FIRST_HOLDINGS + super::FIRST_ROWS * super::HELD_ROW;
    /// Names of threads and tasks of this process.
    pub const NAMES: u64 = END_OF_HOLDINGS;
    pub const NAME_ROWS: u64 = 32;
    pub const NAME_ROW: u64 = many(64, 24);
}

/// The record of one thread inside an operation: its journal, the wakes it queues, its magazines.
pub mod record {
    use super::{PAGE, many};

    pub const STRIDE: u64 = PAGE;
    /// In its lower 40 bits what is committed and to be replayed (`committed`), or 0: nothing. The
    /// rest counts the records that were carried through here.
    pub const COMMIT: u64 = 0x000;
    /// One more of these in `COMMIT`.
    pub const CARRIED: u64 = 1 << 40;
    pub const TO_REPLAY: u64 = CARRIED - 1;
    /// Where the other numbers of a committed record are, behind that of its entries.
    pub const SEQUENCES_AT: u32 = 7;
    pub const COPIES_AT: u32 = 11;
    pub const CHAINED_AT: u32 = 12;
    /// How many entries there may be beyond the first ones.
    pub const MOST_CHAINED: u64 = (1 << 28) - 1;

    /// What `COMMIT` says of a record that is to be replayed.
    pub const fn committed(entries: u64, sequences: u64, copies: u64, chained: u64) -> u64 {
        entries | sequences << SEQUENCES_AT | copies << COPIES_AT | chained << CHAINED_AT
    }

    /// Where the entries go on that find no room here: the payload of a block of the writer's.
    pub const CHAIN: u64 = 0x008;
    pub const COPY_FROM: u64 = 0x010;
    pub const COPY_TO: u64 = 0x018;
    /// Bytes of a piece; how many pieces; how far apart they go. They come without gaps.
    pub const COPY_LENGTH: u64 = 0x020;
    pub const COPY_COUNT: u64 = 0x028;
    pub const COPY_STRIDE: u64 = 0x030;
    pub const WAKES: u64 = 0x040;
    pub const WAKE_WORDS: u64 = many(4, 1);
    /// Pairs (sequence word, its even value before).
    pub const SEQUENCES: u64 = 0x080;
    pub const SEQUENCE_PAIRS: u64 = 8;
    /// Pairs (word, its new value).
    pub const ENTRIES: u64 = 0x100;
    pub const ENTRY_PAIRS: u64 = 64;
    /// For each class: how many free blocks, then their offsets.
    pub const MAGAZINES: u64 = 0x500;
    pub const MAGAZINE_ROOM: u64 = 8;
    pub const MAGAZINE_STRIDE: u64 = (1 + MAGAZINE_ROOM) * 8;
}

pub const BITMAPS: u64 = SLOT_RECORDS + SLOTS * slot::STRIDE;

/// Sizes of small blocks, header included. Larger ones are runs of units.
pub const CLASSES: [u64; 19] = [
    64, 128, 160, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384,
    24576, 32768,
];
pub const LARGEST_CLASS: u64 = CLASSES[CLASSES.len() - 1];

/// Units of a chunk of blocks of this class.
pub const fn chunk_units(class: usize) -> u64 {
    match CLASSES[class] {
        0..=1024 => 1,
        1025..=4096 => 4,
        _ => 16,
    }
}

/// Units of the chunk that is tried next where there is no run of `units` for one: a quarter, but room
/// for a block. None: there is no smaller one.
pub const fn smaller_chunk(class: usize, units: u64) -> Option<u64> {
    let least = (chunk::BLOCKS + CLASSES[class]).div_ceil(UNIT);
    if units <= least {
        return None;
    }
    Some(if units / 4 > least { units / 4 } else { least })
}

/// How many blocks of the class a chunk of so many units holds.
pub const fn chunk_blocks(class: usize, units: u64) -> u64 {
    (units * UNIT - chunk::BLOCKS) / CLASSES[class]
}

/// Units of the heap that stay free, with their pages, for operations which make room: so that what is
/// full can always be emptied.
pub const RESERVE: u64 = many(4, 0);

/// Head of a chunk of small blocks, all guarded by the heap lock.
pub mod chunk {
    /// `class | blocks << 8 | units << UNITS | TAG`, written once before the chunk is linked.
    pub const SHAPE: u64 = 0x00;
    pub const UNITS: u32 = 16;
    pub const TAG: u64 = 0xFF << 56;
    pub const FREE: u64 = 0x08;
    pub const NEXT: u64 = 0x10;
    pub const PREVIOUS: u64 = 0x18;
    pub const BITMAP: u64 = 0x20; // four words
    pub const BLOCKS: u64 = 0x40;
}

/// Head of every block.
pub mod block {
    /// `payload bytes | kind << 56`.
    pub const SHAPE: u64 = 0x00;
    /// Never the same twice in a space.
    pub const SERIAL: u64 = 0x08;
    /// Next retired block, in large blocks only.
    pub const RETIRED_NEXT: u64 = 0x10;
    /// Where the payload of a small block starts.
    pub const SMALL: u64 = 0x10;
    /// Where the payload of a large block starts: on a line of its own.
    pub const LARGE: u64 = 0x40;
}

/// What a block is, in the top byte of its shape. Kinds of the codec's values are larger.
pub mod kind {
    /// Its head is not written yet, or its content is nobody's but its owner's.
    pub const PLAIN: u64 = 0;
    pub const ROWS: u64 = 1;
    pub const OBJECT: u64 = 2;
    /// A table's index and order.
    pub const TABLE: u64 = 3;
    /// An entry of a table.
    pub const ENTRY: u64 = 4;
    /// Value words.
    pub const WORDS: u64 = 5;
    /// A value with links to objects.
    pub const LINKED: u64 = 6;
    /// A list's ring.
    pub const RING: u64 = 7;
    /// A queue's item with links to objects.
    pub const LINKED_ITEM: u64 = 8;

    /// Whether such a block names others, which go with it.
    pub const fn has_contents(kind: u64) -> bool {
        kind >= TABLE && kind <= LINKED_ITEM
    }
}

pub const fn align_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to) * to
}

pub const fn slot_state(slot: u64) -> u64 {
    SLOT_STATES + slot * WORD
}

/// Whether a word is of the holdings that are in a slot.
pub const fn is_holding(word: u64) -> bool {
    word >= SLOT_RECORDS && word < BITMAPS && {
        let at = (word - SLOT_RECORDS) % slot::STRIDE;
        at >= slot::FIRST_HOLDINGS && at < slot::END_OF_HOLDINGS
    }
}

pub const fn drain_lock(slot: u64) -> LockWord {
    LockWord(DRAIN_LOCKS + slot * WORD)
}

pub const fn slot_record(slot: u64) -> u64 {
    SLOT_RECORDS + slot * slot::STRIDE
}

pub const fn thread_record(slot: u64, index: u64) -> u64 {
    slot_record(slot) + slot::RECORDS + index * record::STRIDE
}

/// What bitmaps say of 64 units: which start a run, which start a free one, which are given back.
pub mod bits {
    pub const START: u64 = 0x00;
    pub const FREE: u64 = 0x08;
    pub const GIVEN: u64 = 0x10;
    pub const STRIDE: u64 = 0x20;
}

/// Where the words of the bitmaps are that tell of a unit.
pub const fn bitmaps(unit: u64) -> u64 {
    BITMAPS + unit / 64 * bits::STRIDE
}

/// The first byte of the data area of a space that may grow to `max_size`.
pub const fn data_start(max_size: u64) -> u64 {
    align_up(
        BITMAPS + align_up(max_size / UNIT, 64) / 64 * bits::STRIDE,
        UNIT,
    )
}

/// The form of the lock words, whose constants are in `lock`, above this module.
const LOCK_WORDS: u64 = 2;
/// The words of a shard of a table, whose constants are above this module, too.
const SHARD_WORDS: u64 = 7;

/// A fingerprint of the constants above: two builds that disagree never share a segment.
pub fn layout_hash() -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    let constants = [
        VERSION,
        UNIT,
        SLOTS,
        slot::STRIDE,
        slot::MEMBERS,
        slot::FIRST_MEMBERS,
        slot::HOLDINGS,
        slot::FIRST_HOLDINGS,
        slot::WAITS,
        slot::WAIT_ROW,
        slot::NAMES,
        slot::NAME_ROW,
        slot::LENT,
        slot::BORROWS,
        slot::ENDED,
        superblock::MOVES,
        superblock::GIVING,
        superblock::SCARCE,
        superblock::USED,
        slot::READING,
        bits::STRIDE,
        record::MAGAZINES,
        record::MAGAZINE_ROOM,
        record::ENTRY_PAIRS,
        record::CARRIED,
        BITMAPS,
        superblock::DIRECTORY_LOCK.0,
        superblock::TICKETS,
        superblock::NAMES,
        superblock::MORE_BUCKETS,
        superblock::FIRST_BUCKETS,
        superblock::TURN,
        superblock::NAMED.0,
        OBJECT_ROW,
        superblock::TITLE,
        superblock::ASKED,
        RESERVE,
        chunk::BLOCKS,
        chunk::UNITS as u64,
        block::LARGE,
        LOCK_WORDS,
        SHARD_WORDS,
    ];
    for word in constants.iter().chain(&CLASSES) {
        hasher.update(&word.to_ne_bytes());
    }
    u64::from(hasher.finalize()) | VERSION << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_their_places() {
        let magazines = CLASSES.len() as u64 * record::MAGAZINE_STRIDE;
        assert!(record::MAGAZINES + magazines <= record::STRIDE);
        const {
            assert!(record::ENTRIES + record::ENTRY_PAIRS * 16 <= record::MAGAZINES);
            assert!(record::ENTRY_PAIRS < 1 << record::SEQUENCES_AT);
            assert!(record::SEQUENCE_PAIRS < 1 << (record::COPIES_AT - record::SEQUENCES_AT));
            assert!(record::COPIES_AT + 1 == record::CHAINED_AT);
            assert!((record::MOST_CHAINED + 1) << record::CHAINED_AT == record::CARRIED);
            assert!(slot::PENDING + slot::PENDING_ROWS * 8 <= slot::PINS);
            assert!(slot::PINS + slot::PIN_ROWS * 8 <= slot::MEMBERS);
            assert!(slot::END_OF_MEMBERS <= slot::LENT);
            assert!(slot::LENT_ROWS + slot::PENDING_ROWS * 8 <= slot::BORROWS);
            assert!(slot::BORROWS + 16 <= slot::ENDED);
            assert!(slot::ENDED < slot::READING_ALONE);
            assert!(slot::WAITS + slot::WAIT_ROWS * slot::WAIT_ROW <= slot::FIRST_MEMBERS);
            assert!(slot::RECORDS + slot::RECORD_COUNT * record::STRIDE <= slot::FIRST_HOLDINGS);
            assert!(slot::NAMES + slot::NAME_ROWS * slot::NAME_ROW <= slot::STRIDE);
        }
        assert!(superblock::PARTIAL + CLASSES.len() as u64 * 8 <= superblock::NEXT_SERIAL);
        assert_eq!(SLOT_RECORDS % PAGE, 0);
        const {
            assert!(superblock::END_OF_TABLES <= superblock::TURN);
            assert!(superblock::TURN < superblock::NAMED.0);
            assert!(superblock::NAMED.0 < superblock::TITLE);
            assert!(superblock::TITLE + superblock::TITLE_ROOM <= PAGE);
        }
    }

    #[test]
    fn chunks_hold_at_most_four_bitmap_words() {
        for (class, size) in CLASSES.iter().enumerate() {
            let mut units = chunk_units(class);
            loop {
                let blocks = chunk_blocks(class, units);
                assert!((1..=255).contains(&blocks), "class {class}: {blocks}");
                let Some(fewer) = smaller_chunk(class, units) else {
                    break;
                };
                assert!(fewer < units);
                units = fewer;
            }
            assert!(size.is_multiple_of(GRAIN) && chunk::BLOCKS.is_multiple_of(GRAIN));
        }
    }
}
