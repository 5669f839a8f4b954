//! The spaces that this process has open.

use super::folder::own_folder;
use crate::error::{named as named_error, raise};
use crate::policy;
use courtyard_core::error::{Error, Result};
use courtyard_core::folder::{self, DURABLE, Wish};
use courtyard_core::space::{Hooks, Space, at_once};
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, fork, os, sleeper};
use pyo3::prelude::*;
use std::cell::Cell;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Spaces are never closed, as handles, views and other threads may use them until the process ends;
/// but for private ones that hold nothing, and where nothing can be made.
#[derive(Default)]
pub struct Open {
    pub spaces: Vec<&'static Space>,
    /// Where this process makes its objects if nothing else is said: the first private space that
    /// it made for that, or was handed.
    private: Option<&'static Space>,
    /// The children that threads are about to fork: other modules' hooks may run between ours and
    /// the fork, and in them another thread that forks too.
    pub reservations: Reservations,
}

pub static OPEN: Mutex<Open> = Mutex::new(Open {
    spaces: Vec::new(),
    private: None,
    reservations: Vec::new(),
});

/// Each with the thread that is about to fork, and a space of its.
pub type Reservations = Vec<(u32, &'static Space, fork::ChildReservation)>;

thread_local! {
    /// Where this thread makes objects just now, if not in the private space.
    static HOME: Cell<Option<&'static Space>> = const { Cell::new(None) };
}

/// Held with the GIL, for a few instructions or calls of the system, never while anything waits.
pub fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens or makes a space, with nothing held; again after signals that mean nothing to us.
fn entering(py: Python<'_>, enter: impl Fn() -> Result<Space> + Sync) -> PyResult<Space> {
    loop {
        match py.detach(&enter) {
            Err(Error::Interrupted) => py.check_signals()?,
            entered => return entered.map_err(|error| raise(py, error)),
        }
    }
}

/// Keeps a space open: this one, or, if another thread came first, that thread's.
fn keep(space: Space) -> &'static Space {
    let mut open = open();
    let identity = space.segment.identity();
    let known = |known: &&&'static Space| known.segment.identity() == identity;
    if let Some(known) = open.spaces.iter().find(known) {
        let known = *known;
        drop(open);
        space.discard();
        return known;
    }
    let space: &'static Space = Box::leak(Box::new(space));
    open.spaces.push(space);
    space
}

/// The private space of this process, made on first use.
///
/// # Errors
/// As `folder::create`.
fn private(py: Python<'_>) -> PyResult<&'static Space> {
    if let Some(space) = open().private {
        return Ok(space);
    }
    let folder = own_folder(py)?;
    let made = folder::create(&folder, HOOKS).map_err(|error| raise(py, error))?;
    let made = keep(made);
    Ok(open().private.get_or_insert(made))
}

/// Has this process make its next object in a new private space: for tests that count what is in it,
/// beside objects and pickles that others left.
#[pyfunction]
pub fn leave_home() {
    let left = open().private.take();
    if let Some(space) = left {
        end_if_over(space);
    }
}

/// Where this thread makes objects now.
///
/// # Errors
/// As `folder::create`.
pub fn home(py: Python<'_>) -> PyResult<&'static Space> {
    HOME.get().map_or_else(|| private(py), Ok)
}

/// Makes the objects of `work` in a space.
pub fn within<T>(space: &'static Space, work: impl FnOnce() -> T) -> T {
    struct Back(&'static Space, Option<&'static Space>);
    impl Drop for Back {
        fn drop(&mut self) {
            HOME.set(self.1);
            exit(self.0);
        }
    }
    enter(space);
    let _back = Back(space, HOME.replace(Some(space)));
    work()
}

/// Notes that this process leads into a space, until `exit`: by a `Space`, a handle, a view of memory
/// there, or a call that has none of these yet.
pub fn enter(space: &Space) {
    space.users.fetch_add(1, Ordering::Relaxed);
}

pub fn exit(space: &'static Space) {
    space.users.fetch_add(u64::MAX, Ordering::Relaxed);
    end_if_over(space);
}

/// A way into a space, as long as it lives.
pub struct Way(&'static Space);

impl Way {
    pub fn new(space: &'static Space) -> Way {
        enter(space);
        Way(space)
    }

    /// One that was noted before.
    pub fn noted(space: &'static Space) -> Way {
        Way(space)
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        exit(self.0);
    }
}

/// Ends a space, in this process, into which nothing of it leads any more: any once its file is removed,
/// and a private one, with what it holds; but not the one where objects are made if nothing else
/// is said. One that other processes hold ends with them, or with us.
pub fn end_if_over(space: &'static Space) {
    if space.users.load(Ordering::Relaxed) > 0 {
        return;
    }
    let is_it = |other: &&'static Space| std::ptr::eq(*other, space);
    let mut open = open();
    if open.private.as_ref().is_some_and(is_it)
        || !open.spaces.iter().any(|other| std::ptr::eq(*other, space))
        || open.reservations.iter().any(|(_, other, _)| is_it(other))
    {
        return;
    }
    if sleeper::dismiss(space) && matches!(folder::end(space), Ok(true)) {
        open.spaces.retain(|other| !is_it(other));
    }
}

/// Set once anything was put off in any space: before that nobody asks further.
static BEHIND: OnceLock<()> = OnceLock::new();

/// Notes whether a space has something put off.
pub fn look_back(space: &Space) {
    if space.is_behind() {
        let _ = BEHIND.set(()); // or it was before
    }
}

/// Does what was put off in any space, as far as that takes no waiting: perhaps nobody comes by that
/// space any more.
#[inline]
pub fn catch_up() {
    if BEHIND.get().is_some() {
        catch_up_all();
    }
}

#[cold]
fn catch_up_all() {
    let mut behind = open().spaces.clone();
    behind.retain(|space| space.is_behind());
    for space in behind {
        if space.catch_up(&at_once()).is_ok() {
            end_if_over(space);
        }
    }
}

/// Another private space.
///
/// # Errors
/// As `folder::create`.
pub fn another(py: Python<'_>, limit: u64, pickle: bool) -> PyResult<&'static Space> {
    let folder = own_folder(py)?;
    let made = folder::create_limited(&folder, limit, HOOKS);
    let made = made.map_err(|error| raise(py, error))?;
    if !pickle {
        policy::distrust(&made);
    }
    Ok(keep(made))
}

/// The space that is at a path now, if this process has it open.
fn known_at(path: &Path) -> Option<&'static Space> {
    let identity = os::status_at(path).ok()?.identity;
    let open = open();
    let mut known = open.spaces.iter();
    known
        .find(|space| space.segment.identity() == identity)
        .copied()
}

/// Whether that space can be found at that path.
pub fn is_at(space: &Space, path: &Path) -> bool {
    let status = os::status_at(path);
    status.is_ok_and(|status| status.identity == space.segment.identity())
}

fn known(
    py: Python<'_>,
    path: &Path,
    wish: Wish,
    pickle: bool,
) -> PyResult<Option<&'static Space>> {
    let Some(space) = known_at(path) else {
        return Ok(None);
    };
    agreed(py, space, pickle)?;
    if let Some(limit) = wish.limit {
        folder::set_limit(space, limit);
    }
    Ok(Some(space))
}

/// What was opened with trust may have handles by which pickles were loaded: that is not undone.
fn agreed(py: Python<'_>, space: &'static Space, pickle: bool) -> PyResult<&'static Space> {
    if pickle || policy::is_distrusted(space) {
        return Ok(space);
    }
    let message = format!(
        "{}: this process has the space open with pickle=True: give pickle=False where it is opened \
         first",
        space.segment.path().display()
    );
    Err(named_error(py, "CourtyardError", message))
}

/// Keeps a space that was opened just now.
fn admitted(py: Python<'_>, space: Space, pickle: bool) -> PyResult<&'static Space> {
    if !pickle {
        policy::distrust(&space);
    }
    agreed(py, keep(space), pickle)
}

/// The named space of that name.
///
/// # Errors
/// As `folder::open_named`.
pub fn named(py: Python<'_>, title: &str, wish: Wish, pickle: bool) -> PyResult<&'static Space> {
    let folder = own_folder(py)?;
    let path = folder::file_name(&folder, title).map_err(|error| raise(py, error))?;
    if let Some(space) = known(py, &path, wish, pickle)? {
        return Ok(space);
    }
    let space = entering(py, || folder::open_named(&folder, title, wish, HOOKS))?;
    admitted(py, space, pickle)
}

/// The space in a file of the user's.
///
/// # Errors
/// As `folder::open_durable`.
pub fn durable(py: Python<'_>, path: &Path, wish: Wish, pickle: bool) -> PyResult<&'static Space> {
    if let Some(space) = known(py, path, wish, pickle)? {
        return Ok(space);
    }
    let space = entering(py, || folder::open_durable(path, wish, HOOKS))?;
    admitted(py, space, pickle)
}

/// The space that a pickle names. One of a file may have a copy, of the same UUID.
///
/// # Errors
/// As `folder::attach`.
pub fn attached(py: Python<'_>, path: &Path, uuid: u128) -> PyResult<&'static Space> {
    attached_by(py, path, uuid, folder::attach)
}

/// As `attached`, only to look: see `folder::look`.
///
/// # Errors
/// As `folder::attach`.
pub fn looked_at(py: Python<'_>, path: &Path, uuid: u128) -> PyResult<&'static Space> {
    attached_by(py, path, uuid, folder::look)
}

fn attached_by(
    py: Python<'_>,
    path: &Path,
    uuid: u128,
    attach: fn(&Path, u128, Hooks) -> Result<Space>,
) -> PyResult<&'static Space> {
    let found = open()
        .spaces
        .iter()
        .find(|space| space.uuid == uuid)
        .copied();
    if let Some(space) = found
        && (space.kind() != DURABLE || known_at(path).is_none_or(|at| std::ptr::eq(at, space)))
    {
        return Ok(space);
    }
    if let Some(space) = known_at(path).filter(|space| space.uuid == uuid) {
        return Ok(space);
    }
    let space = keep(entering(py, || attach(path, uuid, HOOKS))?);
    if space.kind() == folder::PRIVATE {
        open().private.get_or_insert(space);
    }
    Ok(space)
}
