//! Looking at the first items without taking them.

use super::item::contents;
use super::state::{
    A_BLOCK, A_JUMP, A_WORD, FILLED, GET_LOCK, HEAD, INLINE, Order, RETURNED, TAIL, VALUE_WORD,
    WORD_KINDS, head_of, order_of, payload_of, read,
};
use super::{due, tree};
use crate::error::{Result, corrupt};
use crate::memory::layout::WORD;
use crate::memory::segment::Segment;
use crate::offset::Object;
use crate::room;
use crate::space::Caller;
use crate::sync::Ordering;

/// Items of more bytes are not copied: those who get would wait for it.
pub const LONGEST_SEEN: u64 = 1 << 20;

/// An item seen: a value word; bytes of the codec's kind; or how long it is, if that is too long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Word(u64),
    Bytes(u8, Vec<u8>),
    Long(u64),
}

/// Which items are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    pub most: usize,
    /// Of an item of more bytes only the length comes.
    pub longest: u64,
    /// Whether also those that are served only later.
    pub is_all: bool,
}

impl Look {
    /// At most so many, for people.
    pub fn at(most: usize) -> Look {
        Look {
            most,
            longest: LONGEST_SEEN,
            is_all: true,
        }
    }
}

/// The first items, in the order in which they would be taken; but of a priority
/// queue only the first of its tree is known to be the next: the others follow as they are there.
/// Getters wait meanwhile.
///
/// # Errors
/// `Interrupted` as the wait policy says; `Corrupt`, `NoMemory`.
pub fn peek(
    caller: Caller,
    object: Object,
    Look {
        most,
        longest,
        is_all,
    }: Look,
) -> Result<Vec<Seen>> {
    let segment = &caller.space.segment;
    caller.run(|operation| {
        operation.lock(object + GET_LOCK)?;
        let mut seen = Vec::new();
        let (mut due, mut later) = (Vec::new(), Vec::new());
        for block in due::blocks(segment, object, most)? {
            match due::is_block_next(operation, object, block)? {
                true => room::push(&mut due, block)?,
                false => room::push(&mut later, block)?,
            }
        }
        let mut first = Vec::new();
        let mut returned = read(segment, object + RETURNED);
        while returned != 0 && first.len() < most {
            room::push(&mut first, returned)?;
            returned = read(segment, payload_of(segment, returned)?);
        }
        let at = match order_of(segment, object) == Order::Lifo as u64 {
            true => 0,
            false => first.len(),
        };
        let (before, behind) = first.split_at(at);
        for &block in before.iter().chain(&due).chain(behind).take(most) {
            room::push(&mut seen, in_block(segment, block, longest)?)?;
        }
        if order_of(segment, object) == Order::Least as u64 {
            for index in 0..read(segment, object + FILLED) {
                if seen.len() >= most {
                    break;
                }
                let word = tree::word(segment, object, index)?;
                let block = tree::block_of(segment, word)?;
                let item = match block {
                    Some(block) => in_block(segment, block, longest)?,
                    None => Seen::Word(word),
                };
                room::push(&mut seen, item)?;
            }
        } else {
            in_ring(segment, object, (most, longest), &mut seen)?;
        }
        later.truncate(if is_all { most - seen.len() } else { 0 });
        for block in later {
            room::push(&mut seen, in_block(segment, block, longest)?)?;
        }
        Ok(seen)
    })
}

/// The get lock is held: what is between head and tail stays, and more may come.
fn in_ring(
    segment: &Segment,
    object: Object,
    (most, longest): (usize, u64),
    seen: &mut Vec<Seen>,
) -> Result<()> {
    let (mut head, tail) = (read(segment, object + HEAD), read(segment, object + TAIL));
    let mut jumps = 0;
    while head != tail && seen.len() < most {
        let header = head_of(segment, head)?;
        let word = segment.word(head + WORD).load(Ordering::Relaxed);
        let item = match (header.kind(), header.length()) {
            (A_JUMP, _) if jumps > seen.len() => return Err(corrupt("a queue jumps in circles")),
            (A_JUMP, _) => {
                jumps += 1;
                head = word;
                continue;
            }
            (A_WORD, _) => Seen::Word(word),
            (A_BLOCK, _) => in_block(segment, word, longest)?,
            (kind, length) if kind >= u64::from(WORD_KINDS) && length <= INLINE => {
                let mut bytes = vec![0; length as usize];
                segment.copy_out(head + WORD, &mut bytes);
                Seen::Bytes(kind as u8, bytes)
            }
            (kind, length) => {
                return Err(corrupt(format!(
                    "a queue holds a record of kind {kind}, {length} bytes"
                )));
            }
        };
        room::push(seen, item)?;
        head += header.size();
    }
    Ok(())
}

fn in_block(segment: &Segment, block: u64, longest: u64) -> Result<Seen> {
    let (kind, at, length) = contents(segment, payload_of(segment, block)?)?;
    if kind == VALUE_WORD {
        segment.check_range(at, WORD)?;
        return Ok(Seen::Word(segment.word(at).load(Ordering::Relaxed)));
    }
    if length > longest {
        return Ok(Seen::Long(length));
    }
    let mut bytes = room::bytes(length as usize)?;
    segment.copy_out(at, &mut bytes);
    Ok(Seen::Bytes(kind, bytes))
}
