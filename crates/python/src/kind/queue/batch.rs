//! Many items at once: those that are small and plain go together.

use super::back::{put_back, secure, secure_bytes};
use super::front::{End, Taken, take};
use super::item::{Held, decode_bytes, may_fail};
use super::state::{Queue, empty, is_fifo, shut_down};
use super::tail::{put, put_new, put_slowly};
use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::ending;
use crate::object::Object;
use crate::object::waiter::Deadline;
use crate::room;
use courtyard_core::holding::Row;
use courtyard_core::layout::UNIT;
use courtyard_core::os;
use courtyard_core::participant::Participant;
use courtyard_core::queue::{self, Item, Items, NewItem, Run};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// So many items at a time: the lock is held for about a microsecond.
const MOST: usize = 64;
/// And about so many bytes.
const FULL: usize = UNIT as usize / 2;

/// Puts the items of a list or a tuple.
///
/// # Errors
/// As `put`.
pub fn put_all(
    slf: &Bound<'_, Queue>,
    items: &Bound<'_, PyAny>,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let _open = slf.as_super().get().handle.open(slf.py())?;
    let mut run = RECORDS.take();
    run.records.clear();
    run.count = 0;
    let fifo = is_fifo(slf.get());
    for item in items.try_iter()? {
        let item = item?;
        if let Some(word) = codec::encode_word(&item).filter(|_| fifo) {
            run.add_item(Item::Word(word));
            if run.count >= MOST {
                run.flush(slf, wait)?;
            }
            continue;
        }
        match codec::encode_plain(&item, Links::Keep) {
            Ok(Some(encoded)) if fifo && run.add(&encoded) => {
                if run.count >= MOST || run.records.len() >= FULL {
                    run.flush(slf, wait)?;
                }
            }
            Ok(Some(encoded)) => {
                run.flush(slf, wait)?;
                put_slowly(slf, &item, Ok(encoded), wait)?;
            }
            // Its own code may run: those before it are in the queue by then.
            Ok(None) => {
                run.flush(slf, wait)?;
                put(slf, &item, wait)?;
            }
            Err(error) => {
                run.flush(slf, wait)?;
                put_slowly(slf, &item, Err(error), wait)?;
            }
        }
    }
    run.flush(slf, wait)?;
    RECORDS.set(run);
    Ok(())
}

thread_local! {
    /// Room for the records of a run; who puts what is in it leaves none to who comes meanwhile.
    static RECORDS: Cell<Records> = const { Cell::new(Records { records: Vec::new(), count: 0 }) };
}

/// The records of items that lie in the ring itself, in their order.
#[derive(Default)]
struct Records {
    records: Vec<u8>,
    count: usize,
}

impl Records {
    /// False: it is none of these.
    fn add(&mut self, encoded: &Encoded<'_, '_>) -> bool {
        match encoded {
            Encoded::Word(word) => self.add_item(Item::Word(*word)),
            Encoded::Block(block) if block.links.is_empty() => {
                // Those with buffers beside them are large as a rule.
                let added = block.with_parts(|parts, _| {
                    Ok(matches!(parts, &[bytes] if self.add_item(Item::Bytes(block.kind, bytes))))
                });
                added.unwrap_or(false)
            }
            Encoded::Block(_) => false,
        }
    }

    #[inline]
    fn add_item(&mut self, item: Item<'_>) -> bool {
        let is_added = queue::add_record(&mut self.records, item);
        self.count += usize::from(is_added);
        is_added
    }

    /// Puts them; what has no room waits for it.
    fn flush(&mut self, slf: &Bound<'_, Queue>, wait: Option<Deadline>) -> PyResult<()> {
        let base = slf.as_super().get();
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        let mut rest = self.records.as_slice();
        while !rest.is_empty() {
            if let Some(participant) = base.handle.held() {
                // SAFETY: the GIL is held from before this call until after it.
                let put = unsafe { queue::put_run(segment, participant, object, rest) };
                rest = &rest[put..];
            }
            let mut items = Items(rest);
            let parts;
            let new = match items.next() {
                None => break,
                Some(Item::Word(word)) => NewItem::Word(word),
                Some(Item::Bytes(kind, bytes)) => {
                    parts = [bytes];
                    NewItem::Bytes(kind, &parts)
                }
            };
            put_new(slf, slf.as_any(), &new, wait)?;
            rest = items.0;
        }
        self.records.clear();
        self.count = 0;
        Ok(())
    }
}

/// So many items may be given back at once: each has a block and a row.
const HELD: usize = 1000;
/// How often a moment is waited for a lock that somebody holds.
const MOMENTS: u32 = 50;
const A_MOMENT: Duration = Duration::from_micros(20);

thread_local! {
    /// Room for what a page holds.
    static BUFFER: Cell<Option<Box<[u8; UNIT as usize]>>> = const { Cell::new(None) };
}

/// What a `get` has in hand. Nothing that may fail is begun while an item of it has no block.
struct Hand<'py> {
    items: Bound<'py, PyList>,
    blocks: Vec<Option<Arc<Held>>>,
    /// Of blocks, all before have one.
    secured: usize,
    /// Whether there is one that cannot go back.
    is_final: bool,
}

/// Takes up to `max` items, at least one; `wait` says until when to wait for the first.
///
/// # Errors
/// As `get`; then all that were taken are back.
pub fn get<'py>(
    slf: &Bound<'py, Queue>,
    max: usize,
    wait: Option<Deadline>,
) -> PyResult<Bound<'py, PyList>> {
    let py = slf.py();
    let mut hand = Hand {
        items: PyList::empty(py),
        blocks: Vec::new(),
        secured: 0,
        is_final: false,
    };
    let why = match fill(slf, &mut hand, max, wait) {
        Ok(()) => return Ok(hand.items),
        Err(why) if hand.blocks.is_empty() => return Err(why),
        Err(why) => why,
    };
    let open = slf.as_super().get().handle.open(py)?;
    let Some(row) = slf.get().holding.known(open.participant) else {
        hand.blocks.into_iter().for_each(std::mem::forget);
        return Err(why); // a child forked meanwhile: what was taken is its parent's
    };
    drop(hand.items); // which may hold views of the blocks
    let blocks = hand.blocks.into_iter().flatten().collect();
    Err(put_back(slf, &open, row, blocks, why))
}

fn fill(
    slf: &Bound<'_, Queue>,
    hand: &mut Hand<'_>,
    max: usize,
    wait: Option<Deadline>,
) -> PyResult<()> {
    let py = slf.py();
    let mut moments = 0;
    while hand.items.len() < max {
        let has_some = !hand.items.is_empty();
        match room::reserve(&mut hand.blocks, MOST) {
            Err(_) if has_some => break,
            reserved => reserved?, // from here on what is taken finds a place
        }
        match run(slf, hand, max)? {
            Run::Taken(_) => continue,
            Run::Empty if has_some => break,
            Run::Busy if has_some => {
                moments += 1;
                if moments > MOMENTS {
                    break;
                }
                ending::waiting(py, || os::pause(A_MOMENT));
                continue;
            }
            _ => {}
        }
        if has_some && !hand.secure(slf) {
            break;
        }
        let wait = wait.filter(|_| !has_some);
        let taken = take(slf, wait, Buffers::Own, has_some);
        match taken.map_err(|error| item(slf, error, hand.items.len()))? {
            Ok(taken) => hand.add(slf, taken)?,
            Err(_) if has_some => break,
            Err(End::ShutDown) => return Err(shut_down(slf, false)),
            Err(_) => return Err(empty(py)),
        }
    }
    Ok(())
}

/// Adds to a `LoadError` which item could not be loaded.
#[cold]
fn item(slf: &Bound<'_, Queue>, error: PyErr, index: usize) -> PyErr {
    let index = || index.into_bound_py_any(slf.py());
    failure::of(slf, failure::at_key(slf.py(), error, "item", index))
}

impl Hand<'_> {
    /// # Errors
    /// `MemoryError`: then the item has a block.
    fn add(&mut self, slf: &Bound<'_, Queue>, taken: Taken) -> PyResult<()> {
        let (item, base) = (taken.item.bind(slf.py()), slf.as_super().get());
        let added = self.items.append(item);
        let secured = || secure(base, base.handle.held()?, item);
        let block = match added {
            Err(_) => taken.block.or_else(secured),
            Ok(()) => taken.block,
        };
        self.blocks.push(block);
        self.is_final |= taken.is_final;
        added
    }

    /// Whether all can go back, whatever happens.
    fn secure(&mut self, slf: &Bound<'_, Queue>) -> bool {
        let base = slf.as_super().get();
        let Ok(participant) = base.handle.require_open(slf.py()) else {
            return false;
        };
        if self.is_final || self.blocks.len() >= HELD {
            return false;
        }
        while let Some(block) = self.blocks.get_mut(self.secured) {
            if block.is_none() {
                let item = self.items.get_item(self.secured).ok();
                *block = item.and_then(|item| secure(base, participant, &item));
                if block.is_none() {
                    return false;
                }
            }
            self.secured += 1;
        }
        true
    }
}

/// Gives plain items back that were taken in this order and could not be decoded, as memory has run out.
#[cold]
fn give_back<'a>(
    py: Python<'_>,
    base: &Object,
    participant: &'static Participant,
    row: Row,
    items: impl Iterator<Item = Item<'a>>,
) {
    let secured = items.filter_map(|raw| match raw {
        Item::Word(word) => {
            let word = word.to_ne_bytes();
            secure_bytes(py, base, participant, queue::VALUE_WORD, &[&word])
        }
        Item::Bytes(kind, bytes) => secure_bytes(py, base, participant, kind, &[bytes]),
    });
    let blocks: Vec<_> = secured.collect(); // at most `MOST`
    for held in blocks.into_iter().rev() {
        if let Ok(Some(block)) = Held::reclaim(held) {
            let space = base.handle.space;
            queue::put_back_later(space, participant, Queue::queue(base), row, block);
        }
    }
}

/// Takes more items if they lie in the ring and are plain, on the fast path.
///
/// # Errors
/// What decoding the first raises where memory has run out: then none is taken.
fn run(slf: &Bound<'_, Queue>, hand: &mut Hand<'_>, max: usize) -> PyResult<Run> {
    let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
    if !is_fifo(this) {
        return Ok(Run::Other);
    }
    let known = base.handle.held();
    let known = known.and_then(|known| Some((known, this.holding.known(known)?)));
    let Some((participant, row)) = known else {
        return Ok(Run::Other);
    };
    let mut buffer = BUFFER.take().unwrap_or_else(room);
    let room = (max - hand.items.len()).min(MOST);
    let (segment, object) = (&base.handle.space.segment, base.handle.object);
    // SAFETY: the GIL is held from before this call until after it.
    let got = unsafe {
        queue::get_run(
            segment,
            participant,
            object,
            row,
            room,
            may_fail,
            &mut buffer,
        )
    };
    if let Run::Taken(length) = got {
        queue::drop_pages(base.handle.space, participant, Queue::queue(base));
        let mut items = Items(&buffer[..length]);
        while let Some(raw) = items.next() {
            let item = match raw {
                Item::Word(word) => codec::decode_word(py, word).map(Bound::unbind),
                Item::Bytes(kind, bytes) => decode_bytes(py, kind, bytes, Buffers::Own),
            };
            if let Err(error) = item.and_then(|item| hand.items.append(item)) {
                let rest = [raw].into_iter().chain(items);
                room::scarce(|| give_back(py, base, participant, row, rest));
                hand.blocks.resize_with(hand.items.len(), || None);
                return match hand.items.is_empty() {
                    true => Err(error),
                    false => Ok(Run::Empty), // which hands over those that there are
                };
            }
        }
        hand.blocks.resize_with(hand.items.len(), || None);
    }
    BUFFER.set(Some(buffer));
    Ok(got)
}

fn room() -> Box<[u8; UNIT as usize]> {
    Box::new([0; UNIT as usize])
}
