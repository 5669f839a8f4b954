//! What every handle has: which object it holds, as whom, and until when.

use super::address::{Address, UNMADE, address};
use super::pending;
use crate::deadline::{self, Limit};
use crate::ending;
use crate::error::{copying, named, raise, waiting};
use crate::policy;
use crate::process;
use courtyard_core::directory::{self, Ticket};
use courtyard_core::error::Result;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object;
use courtyard_core::offset;
use courtyard_core::participant::Participant;
use courtyard_core::space::{Caller, Space, at_once};
use courtyard_core::sync::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use pyo3::prelude::*;
use std::cell::Cell;
use std::path::Path;

pub struct Handle {
    pub space: &'static Space,
    pub(super) id: ObjectId,
    pub(super) row: u64,
    /// Where it is.
    pub object: offset::Object,
    pub length: u64,
    /// As whom this process held the object when last asked: changes with a fork.
    pub(super) holder: AtomicPtr<Participant>,
    pub(super) closed: AtomicBool,
    /// Whether we count as a way into the space.
    pub(super) way: AtomicBool,
    /// Views on our memory: they keep us, and so the object, open.
    pub(super) views: AtomicU32,
    /// Operations under way in any thread, and as whom: those of the threads of a parent mean nothing
    /// in its forked child.
    pub(super) uses: AtomicU32,
    pub(super) user: AtomicPtr<Participant>,
    /// What keeps our membership beyond an operation.
    pub(super) kept: AtomicU32,
    /// Whether `__init__` has been called, or never will be.
    settled: AtomicBool,
    /// The class whose `__init__` is to make the object, by calling ours (`subclass`): until then this
    /// is a closed handle of nothing.
    unmade: Option<Box<str>>,
}

thread_local! {
    /// Whether pickles that are loaded stay as they are: they will be loaded again.
    static KEEPS_TICKETS: Cell<bool> = const { Cell::new(false) };
}

/// Loads what will be loaded again: the objects in it stay alive for that.
pub fn keeping_tickets<T>(load: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            KEEPS_TICKETS.set(self.0);
        }
    }
    let _back = Back(KEEPS_TICKETS.replace(true));
    load()
}

impl Handle {
    /// Makes a new object where this thread makes them: in the private space, as a rule.
    ///
    /// # Errors
    /// `SpaceFull`, `OSError`.
    pub fn create(
        py: Python<'_>,
        kind: u64,
        length: u64,
        fill: impl FnOnce(&Space, offset::Object) + Send,
    ) -> PyResult<Handle> {
        Handle::made(py, length, |caller| {
            object::create(caller, kind, length, |at| fill(caller.space, at))
        })
    }

    /// The handle of an object just made, with `length` bytes to fill.
    ///
    /// # Errors
    /// As `create`.
    pub fn made(
        py: Python<'_>,
        length: u64,
        make: impl FnOnce(Caller) -> Result<(ObjectId, u64)> + Send,
    ) -> PyResult<Handle> {
        let space = process::home(py)?;
        process::catch_up();
        let participant = waiting(py, |wait| space.participate(wait))?;
        let (object, row) = copying(py, length, |wait| {
            make(Caller::new(space, participant, wait))
        })?;
        Handle::new(py, space, participant, object, row)
    }

    /// Loads the object that a pickle names.
    ///
    /// # Errors
    /// `NotFound` if it is gone; `OSError`, `CorruptError`.
    pub fn load(py: Python<'_>, address: &Address, kind: u64) -> PyResult<Handle> {
        let (path, uuid, row, serial, ticket, id) = address;
        if *uuid == 0 && *row == UNMADE {
            return Handle::unmade(py, path);
        }
        if path.is_empty() {
            let (space, participant, object, member) = pending::arrive(py, address)?;
            return Handle::new(py, space, participant, object, member)?.of_kind(py, kind);
        }
        let space = process::attached(py, Path::new(path), *uuid)?;
        process::catch_up();
        let _way = process::Way::new(space);
        let participant = waiting(py, |wait| space.participate(wait))?;
        let object = ObjectId {
            row: *row,
            serial: *serial,
        };
        let ticket = match KEEPS_TICKETS.get() {
            true => Ticket::NONE,
            false => Ticket {
                row: *ticket,
                id: *id,
            },
        };
        let member = waiting(py, |wait| {
            directory::receive(Caller::new(space, participant, wait), object, ticket)
        })?;
        Handle::new(py, space, participant, object, member)?.of_kind(py, kind)
    }

    /// What stands for an object until its class's `__init__` has it made.
    fn unmade(py: Python<'_>, class: &str) -> PyResult<Handle> {
        Ok(Handle {
            space: process::home(py)?,
            id: ObjectId { row: 0, serial: 0 },
            row: 0,
            object: offset::Object::default(),
            length: 0,
            holder: AtomicPtr::default(),
            closed: AtomicBool::new(true),
            way: AtomicBool::new(false),
            views: AtomicU32::new(0),
            uses: AtomicU32::new(0),
            user: AtomicPtr::default(),
            kept: AtomicU32::new(0),
            settled: AtomicBool::new(false),
            unmade: Some(class.into()),
        })
    }

    pub fn is_made(&self) -> bool {
        self.unmade.is_none()
    }

    /// Whether the object has so many bytes, or is not made yet.
    pub fn has_length(&self, length: u64) -> bool {
        self.length == length || !self.is_made()
    }

    /// Notes that `__init__` is called; whether it was before.
    pub fn settle(&self) -> bool {
        let before = self.settled.load(Ordering::Relaxed); // changed with the GIL
        self.settled.store(true, Ordering::Relaxed);
        before
    }

    fn of_kind(self, py: Python<'_>, kind: u64) -> PyResult<Handle> {
        self.settle(); // it was when the object was made
        let opened = object::open(&self.space.segment, self.id);
        let (_, found, _) = opened.map_err(|error| raise(py, error))?;
        if found != kind {
            return Err(named(
                py,
                "WrongType",
                format!("expected a cell of kind {kind}, found kind {found}"),
            ));
        }
        Ok(self)
    }

    fn new(
        py: Python<'_>,
        space: &'static Space,
        participant: &'static Participant,
        id: ObjectId,
        row: u64,
    ) -> PyResult<Handle> {
        let opened = object::open(&space.segment, id);
        let (object, _, length) = opened.map_err(|error| raise(py, error))?;
        let holder = AtomicPtr::default();
        if !policy::is_distrusted(space) {
            holder.store(
                std::ptr::from_ref(participant).cast_mut(),
                Ordering::Relaxed,
            );
        }
        let (views, uses, kept) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let user = AtomicPtr::default();
        user.store(
            std::ptr::from_ref(participant).cast_mut(),
            Ordering::Relaxed,
        );
        process::enter(space); // until `give_back`
        Ok(Handle {
            space,
            id,
            row,
            object,
            length,
            holder,
            closed: AtomicBool::default(),
            way: AtomicBool::new(true),
            views,
            uses,
            user,
            kept,
            settled: AtomicBool::new(false),
            unmade: None,
        })
    }

    /// Who we are, if that is settled: the object is open, and we are who opened it.
    #[inline(always)]
    pub fn held(&self) -> Option<&'static Participant> {
        let registered = self.space.registered();
        let known = registered == self.holder.load(Ordering::Relaxed) && !registered.is_null();
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        known.then(|| unsafe { &*registered })
    }

    /// Who we are, if the object is ours to use: checked again after a fork. While the result
    /// lives, a `close()` by another thread waits with giving the object back.
    ///
    /// # Errors
    /// `Closed`; `NotFound` in a child that could not inherit it.
    #[inline]
    pub fn open(&self, py: Python<'_>) -> PyResult<Use<'_>> {
        let participant = self.require_open(py)?;
        self.uses.fetch_add(1, Ordering::Relaxed);
        ending::enter(py);
        Ok(Use {
            handle: self,
            participant,
            before: policy::enter(self.space),
        })
    }

    /// As `open`, also after `close()`: for who has it retained.
    ///
    /// # Errors
    /// `NotFound` as `open`.
    pub fn open_retained(&self, py: Python<'_>) -> PyResult<Use<'_>> {
        if !self.is_closed() || !self.is_made() {
            return self.open(py);
        }
        let participant = waiting(py, |wait| self.space.participate(wait))?;
        let me = std::ptr::from_ref(participant).cast_mut();
        if self.user.swap(me, Ordering::Relaxed) != me {
            self.uses.store(0, Ordering::Relaxed);
        }
        self.uses.fetch_add(1, Ordering::Relaxed);
        ending::enter(py);
        Ok(Use {
            handle: self,
            participant,
            before: policy::enter(self.space),
        })
    }

    /// As `open`, until `limit`: in a forked child the first use may take waiting. None: it took too long.
    ///
    /// # Errors
    /// As `open`.
    #[inline]
    pub fn open_until(&self, py: Python<'_>, limit: Limit) -> PyResult<Option<Use<'_>>> {
        match self.held() {
            Some(_) => self.open(py).map(Some),
            None => deadline::until(py, limit, || self.open(py)),
        }
    }

    /// Who we are, as `open`, for what only looks and does so at once.
    ///
    /// # Errors
    /// As `open`.
    #[inline]
    pub fn require_open(&self, py: Python<'_>) -> PyResult<&'static Participant> {
        self.held().map_or_else(|| self.reopen(py), Ok)
    }

    #[cold]
    fn reopen(&self, py: Python<'_>) -> PyResult<&'static Participant> {
        if let Some(class) = &self.unmade {
            let what = format!("{class}.__init__() must call super().__init__() before this");
            return Err(named(py, "NotMade", what));
        }
        if self.is_closed() {
            return Err(named(
                py,
                "Closed",
                "this handle is closed in this process; keep another one".into(),
            ));
        }
        let participant = waiting(py, |wait| {
            let participant = self.space.participate(wait)?;
            self.space.settle_up(wait)?;
            Ok(participant)
        })?;
        let _ = self.space.catch_up(&at_once());
        if !directory::is_member(self.space, participant, self.row, self.id) {
            return Err(named(
                py,
                "NotFound",
                "the object was gone when this process, forked without Python's knowledge, first \
                 used it; fork with os.fork or multiprocessing, or keep it open in the parent"
                    .into(),
            ));
        }
        let me = std::ptr::from_ref(participant).cast_mut();
        if self.user.swap(me, Ordering::Relaxed) != me {
            self.uses.store(0, Ordering::Relaxed);
        }
        // With no holder known every use comes here, and then says what it may do, or does what was put
        // off.
        if !policy::is_distrusted(self.space) && !self.space.is_behind() {
            self.holder.store(me, Ordering::Relaxed);
        }
        Ok(participant)
    }

    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Which object it is: the space's UUID, row and serial.
    pub fn identity(&self) -> (u128, u64, u64) {
        (self.space.uuid, self.id.row, self.id.serial)
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The name that it is found by, if it has one.
    ///
    /// # Errors
    /// `Closed`, `CorruptError`.
    pub fn name(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let participant = self.open(py)?;
        waiting(py, |wait| {
            directory::name_of(Caller::new(self.space, &participant, wait), self.id)
        })
    }

    /// The name as messages have it, in quotes; None: it has none, or that cannot be said at once.
    #[cold]
    pub fn shown_name(&self, py: Python<'_>) -> Option<String> {
        let open = self.open_until(py, Limit::of(None)).ok()??;
        let name = open.waiting_until(py, Limit::of(None), |caller| {
            directory::name_of(caller, self.id)
        });
        name.ok()??.map(|name| format!("{name:?}"))
    }

    /// A reference for a pickle on its way.
    ///
    /// # Errors
    /// `Closed`, `NotFound`, `SpaceFull`.
    pub fn address(&self, py: Python<'_>) -> PyResult<Address> {
        let participant = self.open(py)?;
        let ticket = waiting(py, |wait| {
            directory::send(Caller::new(self.space, &participant, wait), self.id)
        })?;
        Ok(address(self.space, self.id, ticket))
    }
}

/// A handle in use: its object stays while this lives.
pub struct Use<'a> {
    pub handle: &'a Handle,
    pub participant: &'static Participant,
    before: policy::Before,
}

impl std::ops::Deref for Use<'_> {
    type Target = Participant;

    fn deref(&self) -> &Participant {
        self.participant
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        ending::leave();
        policy::leave(self.before);
        // In a child forked meanwhile it was counted for its parent.
        if self.participant.is_ours() {
            self.handle.uses.fetch_add(u32::MAX, Ordering::Relaxed);
            self.handle.give_back_if_over();
        }
    }
}
