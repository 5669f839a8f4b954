//! A value in a container: a word that says it all, or a block behind it.

use crate::change::operation::{Operation, class_for};
use crate::error::{Attempt, Result, Stop, corrupt};
use crate::heap;
use crate::memory::layout::{CLASSES, WORD, kind};
use crate::memory::segment::Segment;
use crate::object::{self, Pinned, Stored, linked, pinned, shape_of};
use crate::process::participant::Participant;
use crate::room;
use crate::space::pending_block::PendingBlock;
use crate::space::{Caller, Space, deferred_free, pin};

/// Bytes of the longest value that comes as it is; a longer one comes in a block of its own.
pub const SHORT_MOST: u64 = 1024;

/// A value about to be stored: a word; the codec's kind and bytes, at most `SHORT_MOST`; or a
/// filled block.
pub enum NewValue<'a> {
    Word(u64),
    Bytes(u8, &'a [&'a [u8]]),
    Block(PendingBlock<'a>),
}

impl NewValue<'_> {
    /// How many bytes come as they are.
    pub fn short(&self) -> u64 {
        match self {
            NewValue::Bytes(_, parts) => parts.iter().map(|part| part.len() as u64).sum(),
            _ => 0,
        }
    }

    /// The word that will mean it. Short bytes are copied into the block at hand in the magazine,
    /// which is nobody else's: no lock is held yet.
    ///
    /// # Errors
    /// `Stop::Refill` if there is none; `Corrupt`.
    pub fn word(&self, operation: &Operation) -> Attempt<u64> {
        let (kind, parts) = match self {
            NewValue::Word(word) => return Ok(*word),
            NewValue::Block(block) => return Ok(block.block()),
            NewValue::Bytes(kind, parts) => (*kind, *parts),
        };
        let (length, segment) = (self.short(), operation.segment);
        let class = class_for(length.max(WORD));
        let class = class.ok_or_else(|| corrupt("short bytes that fit no class"))?;
        let (count, magazine) = operation.stock(class);
        if count == 0 {
            return Err(Stop::Refill(class));
        }
        let block = operation.read(magazine + count * WORD);
        segment.check_range(block, CLASSES[class])?;
        heap::head(segment, block, length, u64::from(kind));
        let mut at = heap::payload(segment, block);
        for part in parts {
            segment.copy_in(at, part);
            at += part.len() as u64;
        }
        Ok(block)
    }

    /// Writes the entries that end our ownership of the block of `word`, which the caller's link. Before
    /// any block is given back: that would come in its place.
    ///
    /// # Errors
    /// None once `word` succeeded.
    pub fn link(&self, operation: &mut Operation) -> Attempt<()> {
        match self {
            NewValue::Word(_) => {}
            NewValue::Block(block) => block.transfer(operation, 0),
            NewValue::Bytes(..) => {
                if let Some(class) = class_for(self.short().max(WORD)) {
                    operation.take(class)?;
                }
            }
        }
        Ok(())
    }
}

/// Makes a value ready: short bytes as they are, long ones in a block, with nothing held.
///
/// # Errors
/// `Full`.
pub fn prepare<'a>(
    caller: Caller<'a, '_>,
    kind: u8,
    parts: &'a [&'a [u8]],
) -> Result<NewValue<'a>> {
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    if length <= SHORT_MOST {
        return Ok(NewValue::Bytes(kind, parts));
    }
    match object::prepare(caller, kind, parts)? {
        object::NewValue::Word(word) => Ok(NewValue::Word(word)),
        object::NewValue::Block(block) => Ok(NewValue::Block(block)),
    }
}

/// The codec's kind of a value, and how many bytes it has; None: it is a word.
pub type Form = Option<(u8, u64)>;

/// The form of a value in a block.
///
/// # Errors
/// `Corrupt`.
pub fn form_of(segment: &Segment, word: u64) -> Result<Form> {
    let block = linked(segment, word)?;
    let form = block.map(|block| shape_of(segment, block).map(|(kind, length, _)| (kind, length)));
    form.transpose()
}

/// What taking something out came to, if that depends on what is there.
pub enum Take<T> {
    /// There is nothing.
    Nothing,
    Taken(T),
    /// It was not to be taken, and stays.
    Left,
}

/// A value found: in a word; copied into the caller's buffer, which it fills; or where it is.
pub enum Found<'a> {
    Word(u64),
    Bytes(u8),
    Pinned(Pinned<'a>),
}

/// What a value word means, a large block where it is. None: `still` does not hold any more.
///
/// # Errors
/// `Corrupt`, `NoMemory`.
pub fn find<'a>(
    space: &'a Space,
    participant: &'a Participant,
    word: u64,
    still: &dyn Fn() -> bool,
    buffer: &mut Vec<u8>,
) -> Result<Option<Found<'a>>> {
    let segment = &space.segment;
    if let Some(block) = linked(segment, word)?
        && let Some(pinned) = pinned(space, participant, block, still)?
    {
        return Ok(Some(Found::Pinned(pinned)));
    }
    buffer.clear();
    let copied = copy(segment, word, still, buffer)?;
    Ok(copied.map(|copied| match copied {
        Stored::Word(word) => Found::Word(word),
        Stored::Bytes(kind, ()) => Found::Bytes(kind),
    }))
}

/// Copies what a value word means: the word, or its block's kind and, to the end of `buffer`, its
/// bytes. None: `still` does not hold any more.
///
/// # Errors
/// `Corrupt`, `NoMemory`.
pub fn copy(
    segment: &Segment,
    word: u64,
    still: &dyn Fn() -> bool,
    buffer: &mut Vec<u8>,
) -> Result<Option<Stored<()>>> {
    let Some(block) = linked(segment, word)? else {
        return Ok(Some(Stored::Word(word)));
    };
    let (kind, length, payload) = shape_of(segment, block)?;
    if !still() {
        return Ok(None); // before a length that means nothing is made room for
    }
    let at = room::lengthen(buffer, length as usize)?;
    segment.copy_out(payload, &mut buffer[at..]);
    Ok(Some(Stored::Bytes(kind, ())))
}

/// A value taken out: ours.
pub enum Taken<'a> {
    Word(u64),
    Bytes(u8, Vec<u8>),
    Block(PendingBlock<'a>),
    Pinned(Pinned<'a>),
}

impl<'a> Taken<'a> {
    /// After the commit: the block that `take` put into `spare`, if it did.
    #[must_use]
    pub fn ours(self, spare: PendingBlock<'a>) -> Taken<'a> {
        match self {
            Taken::Word(0) => Taken::Block(spare),
            taken => taken,
        }
    }
}

/// Writes the entries that make a value ours whose word the caller's unlink; what it is, but for a
/// small block or one with links, which `spare` then names: see `Taken::ours`. Short bytes for which
/// `room` has room come there, and their block is free. The last that may fail before the commit: a
/// pin's end looks at the retired list, whose lock this operation holds.
///
/// # Errors
/// `Stop` as the retired list has it; `Corrupt`, `NoMemory`.
pub fn take<'a>(
    space: &'a Space,
    participant: &'a Participant,
    operation: &mut Operation,
    word: u64,
    spare: &PendingBlock,
    room: &mut Vec<u8>,
) -> Attempt<Taken<'a>> {
    let segment = operation.segment;
    match linked(segment, word)? {
        None => Ok(Taken::Word(word)),
        Some(block) if heap::is_large(segment, block) && !has_contents(segment, block) => {
            // Others may have it pinned, as we do now; it goes when nobody reads it.
            pin::retire(operation, block)?;
            let (kind, length, payload) = shape_of(segment, block)?;
            if let Some(pinned) = pinned(space, participant, block, || true)? {
                return Ok(Taken::Pinned(pinned));
            }
            let mut bytes = room::bytes(length as usize)?;
            segment.copy_out(payload, &mut bytes);
            Ok(Taken::Bytes(kind, bytes))
        }
        Some(block) => {
            let (kind, length, payload) = shape_of(segment, block)?;
            if length <= room.capacity() as u64 && !has_contents(segment, block) {
                room.resize(length as usize, 0);
                segment.copy_out(payload, room);
                heap::discard(operation, block)?;
                return Ok(Taken::Bytes(kind, std::mem::take(room)));
            }
            spare.transfer(operation, block);
            Ok(Taken::Word(0))
        }
    }
}

pub(super) fn has_contents(segment: &Segment, block: u64) -> bool {
    kind::has_contents(deferred_free::kind_of(segment, block))
}

/// Writes the entries that let a value's block go; whether something is left to `tidy` after.
///
/// # Errors
/// `Stop` as the heap, the retired list and the directory have it; `Corrupt`.
pub fn discard(operation: &mut Operation, word: u64) -> Attempt<bool> {
    let segment = operation.segment;
    let Some(block) = linked(segment, word)? else {
        return Ok(false);
    };
    if has_contents(segment, block) {
        deferred_free::add(operation, block)?;
        return Ok(true);
    }
    let is_large = heap::is_large(segment, block);
    if is_large {
        pin::retire(operation, block)?;
    } else {
        heap::discard(operation, block)?;
    }
    Ok(is_large)
}

/// Frees what a change unlinked and could not free itself.
///
/// # Errors
/// `Interrupted` as the wait policy says; `System`, `Corrupt`.
pub fn tidy(caller: Caller) -> Result<()> {
    deferred_free::run(caller)?;
    pin::sweep(caller)
}
