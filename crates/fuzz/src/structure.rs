//! Changes that know what they change: each aims at one structure of the file.

use crate::mutation::{Draft, Edit};
use courtyard_core::directory::{OBJECT_ROW, TICKET_ROW};
use courtyard_core::inside::operation;
use courtyard_core::layout::{
    self, CLASSES, PAGE, SLOTS, UNIT, WORD, block, chunk, record, slot, superblock,
};
use courtyard_core::object;

/// Changes the words under the checksum, and the checksum with them.
pub fn checksummed(draft: &mut Draft) {
    let mut words: Vec<u64> = (0..superblock::IMMUTABLE / WORD)
        .map(|index| draft.image.word(index * WORD))
        .collect();
    for _ in 0..1 + draft.random.below(3) {
        // Beyond the three that say what file this is, as a rule: these end it all at once.
        let first = if draft.random.one_in(8) { 0 } else { 3 };
        let index = first + draft.random.below(words.len() as u64 - first);
        let value = match draft.random.below(3) {
            0 => draft.size(),
            1 => draft.image.word(index * WORD) ^ 1 << draft.random.below(64),
            _ => draft.value(index * WORD),
        };
        words[index as usize] = value;
        if index * WORD == superblock::MAX_SIZE && draft.random.one_in(2) {
            // And what follows from it.
            let max = value % (1 << 45);
            words[index as usize] = max;
            words[(superblock::DATA / WORD) as usize] = layout::data_start(max);
        }
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    draft.set(superblock::CRC, u64::from(crc32fast::hash(&bytes)));
    draft.edits.push(Edit::Bytes(0, bytes));
}

/// The words of the superblock that change.
pub fn counters(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(4) {
        let (start, end) = (superblock::SIZE, superblock::END_OF_TABLES);
        let at = draft.word_in(start, end - start);
        if draft.random.one_in(2) {
            let size = draft.size();
            draft.set(at, size);
        } else {
            draft.set_any(at);
        }
    }
}

pub fn slots(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(4) {
        let slot = draft.some_slot();
        if draft.random.one_in(4) {
            let holder = draft.holder();
            draft.set(layout::drain_lock(slot).0, holder);
            continue;
        }
        let generation = match draft.random.below(4) {
            0 => 0,
            1 => u64::from(u32::MAX),
            2 => draft.random.below(4),
            _ => draft.image.word(layout::slot_state(slot)) >> 32,
        };
        let room = draft.random.pick(&[0, 0, 0, 0xFFFF_FFF0]); // bits that nobody uses
        let state = draft.random.below(4) | room;
        draft.set(layout::slot_state(slot), generation << 32 | state);
    }
    if draft.random.one_in(1000) {
        // All taken: a newcomer looks again and again for a second.
        let state = 1 + draft.random.below(3);
        let words = (0..SLOTS).flat_map(|_| state.to_ne_bytes()).collect();
        draft.edits.push(Edit::Bytes(layout::SLOT_STATES, words));
    }
}

/// A word that a record may name, or nearly so.
fn target(draft: &mut Draft) -> u64 {
    let inner = draft.random.below(64) * WORD;
    let slot = draft.some_slot();
    match draft.random.below(10) {
        0..4 => draft.random.pick(&draft.image.places) + inner,
        4 => layout::BITMAPS + inner,
        5 => superblock::PARTIAL + inner * 2,
        6 => layout::slot_record(slot) + draft.random.below(slot::STRIDE / WORD) * WORD,
        7 => layout::thread_record(slot, draft.random.below(8)) + inner,
        8 => draft.size(),
        _ => draft.random.next() % (2 * PAGE),
    }
}

/// Records that were committed, for the reaper to replay.
pub fn journals(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(2) {
        let owner = draft.some_slot();
        let base = layout::thread_record(owner, draft.random.below(slot::RECORD_COUNT));
        let (entries, sequences) = (draft.random.below(66), draft.random.below(6));
        let copies = draft.random.below(2);
        for index in 0..entries.min(record::ENTRY_PAIRS) {
            let (word, value) = (target(draft), draft.value(base));
            draft.set(base + record::ENTRIES + index * 2 * WORD, word);
            draft.set(base + record::ENTRIES + index * 2 * WORD + WORD, value);
        }
        for index in 0..sequences.min(record::SEQUENCE_PAIRS) {
            let word = target(draft);
            draft.set(base + record::SEQUENCES + index * 2 * WORD, word);
        }
        for index in 0..8 {
            // Where a copy comes from, where it goes, how much of it.
            let value = match draft.random.below(3) {
                0 => draft.random.below(10_000),
                1 => draft.size(),
                _ => target(draft),
            };
            draft.set(base + record::COPY_FROM + index * WORD, value);
        }
        for index in 0..record::WAKE_WORDS {
            let word = target(draft);
            draft.set(base + record::WAKES + index * WORD, word);
        }
        let mut commit = record::committed(entries, sequences, copies, 0);
        if draft.random.one_in(4) {
            // It goes on elsewhere; as a rule as one that is full does.
            let (here, place) = (draft.random.pick(&[64, 64, 63, 0]), target(draft));
            draft.set(base + record::CHAIN, place);
            commit = record::committed(here, sequences, copies, draft.random.below(300));
        }
        commit |= draft.random.below(1 << 24) * record::CARRIED;
        draft.set(base + record::COMMIT, commit);
        if draft.random.one_in(2) {
            // Not only of one who is dead anyway.
            let state = layout::slot_state(owner);
            let generation = draft.image.word(state) >> 32;
            draft.set(state, generation << 32 | 1);
        }
    }
}

/// What a slot's tables own: pins, pending blocks, magazines, memberships.
pub fn belongings(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(6) {
        let owner = draft.some_slot();
        let base = layout::slot_record(owner);
        let at = match draft.random.below(5) {
            0 => base + slot::PINS + draft.random.below(slot::PIN_ROWS) * WORD,
            1 => base + slot::PENDING + draft.random.below(slot::PENDING_ROWS) * WORD,
            2 => base + slot::MEMBERS + draft.random.below(48) * WORD, // and the holdings
            3 => draft.word_in(base, slot::STRIDE),
            _ => {
                let record = layout::thread_record(owner, draft.random.below(3));
                let class = draft.random.below(CLASSES.len() as u64) as usize;
                let magazine = operation::magazine(record, class);
                let (count, block) = (draft.random.below(10), draft.value(magazine));
                draft.set(magazine, count);
                draft.set(magazine + count.max(1) * WORD, block);
                continue;
            }
        };
        draft.set_any(at);
    }
}

/// Bitmaps, chunks' heads, blocks' heads, lists.
pub fn heap(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(5) {
        let units = ((draft.image.frontier - draft.image.data) / UNIT).max(1);
        let unit = draft.image.data + draft.random.below(units) * UNIT;
        let at = match draft.random.below(8) {
            0 => layout::BITMAPS + draft.random.below(4) * WORD,
            1 => unit + chunk::SHAPE,
            2 => {
                unit + draft
                    .random
                    .pick(&[chunk::FREE, chunk::NEXT, chunk::PREVIOUS])
            }
            3 => unit + chunk::BITMAP + draft.random.below(4) * WORD,
            4 => {
                unit + draft
                    .random
                    .pick(&[block::SHAPE, block::SERIAL, block::RETIRED_NEXT])
            }
            5 => superblock::PARTIAL + draft.random.below(CLASSES.len() as u64) * WORD,
            6 => draft.random.pick(&[
                superblock::FRONTIER,
                superblock::FIRST_FREE,
                superblock::RETIRED,
                superblock::NEXT_SERIAL,
            ]),
            _ => draft.random.pick(&draft.image.places) / layout::LINE * layout::LINE,
        };
        draft.set_any(at);
    }
}

/// Rows of objects and tickets, free lists, and where the tables are.
pub fn directory(draft: &mut Draft) {
    for _ in 0..1 + draft.random.below(5) {
        let tables = [
            (superblock::OBJECTS, OBJECT_ROW),
            (superblock::TICKETS, TICKET_ROW),
        ];
        let (table, size) = draft.random.pick(&tables);
        let first = draft.image.word(table);
        let row = first + draft.random.below(64) * size;
        let at = match draft.random.below(4) {
            0 => table + draft.random.below(24) * WORD,
            1 => {
                let (start, end) = (superblock::DIRECTORY_LOCK.0, superblock::OBJECTS);
                start + draft.random.below((end - start) / WORD) * WORD
            }
            _ if first == 0 => table,
            _ => row + draft.random.below(size / WORD) * WORD,
        };
        draft.set_any(at);
    }
}

/// The heads of objects: lock, owner, event, sequence, shape, data; and the locks of the space.
pub fn heads(draft: &mut Draft) {
    let objects = draft.image.word(superblock::OBJECTS);
    for _ in 0..1 + draft.random.below(4) {
        if draft.random.one_in(3) || objects == 0 {
            let locks = [
                superblock::GROW_LOCK,
                superblock::HEAP_LOCK,
                superblock::RETIRED_LOCK,
                superblock::DIRECTORY_LOCK,
            ];
            let (at, holder) = (draft.random.pick(&locks), draft.holder());
            draft.set(at.0, holder);
            continue;
        }
        let root = draft
            .image
            .word(objects + draft.random.below(12) * OBJECT_ROW + WORD);
        let large = root.wrapping_sub(draft.image.data).is_multiple_of(UNIT);
        let base = root + if large { block::LARGE } else { block::SMALL };
        let inner = object::PAYLOAD + draft.random.below(20) * WORD;
        let at = base
            + draft.random.pick(&[
                0,
                object::OWNER,
                object::EVENT.0,
                object::SEQUENCE,
                object::SHAPE,
                object::DATA,
                inner,
            ]);
        if draft.random.one_in(4) {
            let holder = draft.holder();
            draft.set(at, holder);
        } else if root != 0 {
            draft.set_any(at);
        }
    }
}
