//! The order of a priority queue's items: Python's `<`, as heapq has it.

use super::item::decode_leased;
use super::state::{Queue, is_least};
use crate::codec::{self, failure};
use crate::deadline::{self, Limit};
use crate::error::raise;
use crate::object::waiter::Wait;
use crate::object::{Object, keeping_tickets};
use courtyard_core::error::Error;
use courtyard_core::lock::Waiter;
use courtyard_core::participant::Participant;
use courtyard_core::queue::{self, Sift};
use courtyard_core::space::Space;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// The queues at whose trees this thread has the turn, by whichever handle.
    static TURNS: RefCell<Vec<(*const Space, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The turn at a priority queue's tree, held while this lives: user-level, as items' own `<` runs.
pub struct Sorted<'a> {
    base: &'a Object,
    holder: &'static Participant,
}

fn at_turn(base: &Object) -> (*const Space, u64) {
    (std::ptr::from_ref(base.handle.space), base.handle.object.0)
}

impl<'a> Sorted<'a> {
    /// Takes the turn, if the queue is a priority queue: `Some(None)` if it is not. None: others had
    /// it for too long.
    ///
    /// # Errors
    /// `RuntimeError` inside a comparison by the same queue; what a signal handler raises.
    pub fn take(slf: &'a Bound<'_, Queue>, mut limit: Limit) -> PyResult<Option<Option<Self>>> {
        let (py, base) = (slf.py(), slf.as_super().get());
        if !is_least(slf.get()) {
            return Ok(Some(None));
        }
        let this = at_turn(base);
        if TURNS.with_borrow(|turns| turns.contains(&this)) {
            let message = "a comparison of items used the queue that they are in";
            return Err(PyRuntimeError::new_err(message));
        }
        let (space, object) = (base.handle.space, base.handle.object);
        let mut wait = Wait::new(&base.handle, queue::turn(object).0);
        let mut waiter = Waiter::new(&space.segment, queue::turn(object));
        let mut is_first = true;
        loop {
            let Some(open) = base.handle.open_until(py, limit)? else {
                return Ok(None);
            };
            let taken = queue::try_turn(&space.segment, &open, object, waiter.flags());
            if taken.map_err(|error| raise(py, error))? {
                waiter.acquired();
                TURNS.with_borrow_mut(|turns| turns.push(this));
                let holder = open.participant;
                return Ok(Some(Some(Sorted { base, holder })));
            }
            limit.begin();
            let most = deadline::inside(limit).slice(std::mem::replace(&mut is_first, false));
            let Some(most) = most else {
                return Ok(None);
            };
            wait.wait(py, most, || space.wait_slice(&mut waiter, most))?;
        }
    }

    /// None: it cannot be loaded here.
    fn item(&self, py: Python<'_>, index: u64) -> PyResult<Option<Py<PyAny>>> {
        let (space, object) = (self.base.handle.space, self.base.handle.object);
        let word = queue::word(&space.segment, object, index).map_err(|error| raise(py, error))?;
        let block = queue::block_of(&space.segment, word).map_err(|error| raise(py, error))?;
        match block {
            Some(block) => self.loaded(py, block),
            None => Ok(Some(codec::decode_word(py, word)?.unbind())),
        }
    }

    /// As `item`, of one in a block. It will be loaded again: what it has of other spaces stays for that.
    fn loaded(&self, py: Python<'_>, block: u64) -> PyResult<Option<Py<PyAny>>> {
        let space = self.base.handle.space;
        let load = || decode_leased(py, space, self.holder, block);
        tried(py, keeping_tickets(load))
    }

    fn filled(&self) -> u64 {
        queue::filled(&self.base.handle.space.segment, self.base.handle.object)
    }

    /// Where a new item goes: up from the end while it is less than what is above.
    ///
    /// # Errors
    /// What comparing raises.
    pub fn place(&self, item: &Bound<'_, PyAny>) -> PyResult<Sift> {
        self.place_of(item.py(), Some(item))
    }

    fn place_of(&self, py: Python<'_>, item: Option<&Bound<'_, PyAny>>) -> PyResult<Sift> {
        let mut sift = Sift {
            moves: Vec::new(),
            place: self.filled(),
        };
        self.up(py, item, &mut sift)?;
        Ok(sift)
    }

    /// As `place`, of an item that is in a block; after all others if it cannot be loaded.
    ///
    /// # Errors
    /// What comparing raises.
    pub fn place_of_block(&self, py: Python<'_>, block: u64) -> PyResult<Sift> {
        let item = self.loaded(py, block)?;
        self.place_of(py, item.as_ref().map(|item| item.bind(py)))
    }

    /// Goes up from `sift.place`.
    fn up(&self, py: Python<'_>, item: Option<&Bound<'_, PyAny>>, sift: &mut Sift) -> PyResult<()> {
        while sift.place > 0 {
            let above = (sift.place - 1) / 2;
            if !is_less(py, item, self.item(py, above)?.as_ref())? {
                break;
            }
            sift.moves.push((sift.place, above));
            sift.place = above;
        }
        Ok(())
    }

    /// How the least item goes: the lesser of each two below moves up, and the last item goes
    /// where that ends, or as far up again as it is less.
    ///
    /// # Errors
    /// What comparing raises.
    pub fn least(&self, py: Python<'_>) -> PyResult<Option<Sift>> {
        if !self.promote_due(py)? {
            return Ok(None); // what is due is taken where it is
        }
        let Some(end) = self.filled().checked_sub(1) else {
            return Ok(None);
        };
        let mut sift = Sift {
            moves: Vec::new(),
            place: 0,
        };
        let mut known: HashMap<u64, Option<Py<PyAny>>> = HashMap::new();
        loop {
            let mut below = 2 * sift.place + 1;
            if below >= end {
                break;
            }
            if below + 1 < end {
                let (left, right) = (self.item(py, below)?, self.item(py, below + 1)?);
                if !is_less(py, left.as_ref().map(|left| left.bind(py)), right.as_ref())? {
                    below += 1;
                    known.insert(below, right);
                } else {
                    known.insert(below, left);
                }
            } else {
                known.insert(below, self.item(py, below)?);
            }
            sift.moves.push((sift.place, below));
            sift.place = below;
        }
        // Undo the moves that the last item is less than.
        let last = match sift.moves.is_empty() {
            true => None,
            false => self.item(py, end)?,
        };
        let last = last.as_ref().map(|last| last.bind(py));
        while let Some(&(above, below)) = sift.moves.last() {
            let moved = known.get(&below).and_then(Option::as_ref);
            if !is_less(py, last, moved)? {
                break;
            }
            sift.moves.pop();
            sift.place = above;
        }
        Ok(Some(sift))
    }
}

/// What loading an item gave, or comparing it; None: that raised, whatever it was.
///
/// # Errors
/// What is to be raised at once: Ctrl-C, what a signal handler raised.
fn tried<T>(py: Python<'_>, found: PyResult<T>) -> PyResult<Option<T>> {
    match found {
        Err(error) if !failure::is_of_the_value(py, &error) => Err(error),
        found => Ok(found.ok()),
    }
}

/// Whether one item goes before another: what cannot be loaded goes after all others, so that these
/// can be had.
fn is_less(
    py: Python<'_>,
    one: Option<&Bound<'_, PyAny>>,
    other: Option<&Py<PyAny>>,
) -> PyResult<bool> {
    match (one, other) {
        (None, _) => Ok(false),
        (Some(_), None) => Ok(true),
        (Some(one), Some(other)) => one.lt(other.bind(py)),
    }
}

impl Sorted<'_> {
    /// Moves items that were requeued and are due to their places in the tree; false: there is no room
    /// for one, or it cannot be compared, and it is to be taken where it is.
    ///
    /// # Errors
    /// What is to be raised at once: Ctrl-C, no memory.
    pub fn promote_due(&self, py: Python<'_>) -> PyResult<bool> {
        let handle = &self.base.handle;
        let (space, queue) = (handle.space, Queue::queue(self.base));
        while queue::has_requeued(&space.segment, queue.object) {
            let open = handle.open(py)?;
            let due = open.waiting(py, |caller| queue::until_due(caller, queue))?;
            let Some((_, block)) = due.filter(|(wait, _)| wait.is_zero()) else {
                break;
            };
            let Some(sift) = tried(py, self.place_of_block(py, block))? else {
                return Ok(false);
            };
            let mut is_full = false;
            open.waiting(py, |caller| {
                match queue::promote(caller, queue, block, &sift) {
                    Err(Error::Full(_)) => is_full = true,
                    promoted => drop(promoted?),
                }
                Ok(())
            })?;
            if is_full {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How any item goes, where the order means nothing any more: the last one for the first.
    pub fn last(&self) -> Option<Sift> {
        let moves = Vec::new();
        (self.filled() > 0).then_some(Sift { moves, place: 0 })
    }
}

impl Drop for Sorted<'_> {
    fn drop(&mut self) {
        let this = at_turn(self.base);
        TURNS.with_borrow_mut(|turns| turns.retain(|turn| *turn != this));
        if !self.holder.is_ours() {
            return; // a comparison forked: here the turn is our parent's
        }
        queue::end_turn(&self.base.handle.space.segment, self.base.handle.object);
    }
}
