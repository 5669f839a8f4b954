//! The spaces that this process has open, and what becomes of them at forks and at exit.

use crate::cell::thread;
use crate::ending;
use crate::error::{named as named_error, raise, waiting};
use crate::trust;
use courtyard_core::census::{self, Census};
use courtyard_core::check;
use courtyard_core::error::{Error, Result};
use courtyard_core::folder::{self, DURABLE, Wish};
use courtyard_core::space::{Space, at_once};
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, fork, os};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use std::cell::Cell;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Spaces are never closed, as handles, views and other threads may use them until the process ends;
/// but for private ones that hold nothing, and where nothing can be made.
#[derive(Default)]
struct Open {
    spaces: Vec<&'static Space>,
    /// Where this process makes its objects if nothing else is said: the first private space that
    /// it made for that, or was handed.
    private: Option<&'static Space>,
    /// Whether it was said that there is no shared memory.
    said: bool,
    /// The children that threads are about to fork: other modules' hooks may run between ours and
    /// the fork, and in them another thread that forks too.
    heirs: Heirs,
}

static OPEN: Mutex<Open> = Mutex::new(Open {
    spaces: Vec::new(),
    private: None,
    said: false,
    heirs: Vec::new(),
});

thread_local! {
    /// Where this thread makes objects just now, if not in the private space.
    static HOME: Cell<Option<&'static Space>> = const { Cell::new(None) };
}

/// Held with the GIL, for a few instructions or calls of the system, never while anything waits.
fn open() -> MutexGuard<'static, Open> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `COURTYARD_DIR` says. A relative path means what it means now: so it is written back as an
/// absolute one, for this process in another working directory, and for those that it starts.
fn chosen(py: Python<'_>) -> PyResult<Option<PathBuf>> {
    let chosen = std::env::var_os(FOLDER).filter(|value| !value.is_empty());
    let Some(chosen) = chosen.map(PathBuf::from) else {
        return Ok(None);
    };
    if chosen.is_absolute() {
        return Ok(Some(chosen));
    }
    let chosen = std::path::absolute(chosen)?;
    py.import("os")?
        .getattr("environ")?
        .set_item(FOLDER, chosen.as_os_str())?;
    Ok(Some(chosen))
}

const FOLDER: &str = "COURTYARD_DIR";

/// The folder of this user's spaces; says once if it is not in shared memory.
///
/// # Errors
/// As `folder::open`.
pub fn own_folder(py: Python<'_>) -> PyResult<PathBuf> {
    let chosen = chosen(py)?;
    let path = folder::open(chosen.as_deref()).map_err(|error| raise(py, error))?;
    if chosen.is_none()
        && !path.starts_with(folder::SHARED_MEMORY)
        && !std::mem::replace(&mut open().said, true)
    {
        let text = format!(
            "courtyard found no {} to write to, and keeps its memory in {}: slower if that is on a \
             disk, and not found by programs that have another environment; set COURTYARD_DIR to \
             say where",
            folder::SHARED_MEMORY,
            path.display()
        );
        let text = CString::new(text).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 2)?;
    }
    Ok(path)
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
fn end_if_over(space: &'static Space) {
    if space.users.load(Ordering::Relaxed) > 0 {
        return;
    }
    let is_it = |other: &&'static Space| std::ptr::eq(*other, space);
    let mut open = open();
    if open.private.as_ref().is_some_and(is_it)
        || !open.spaces.iter().any(|other| std::ptr::eq(*other, space))
        || open.heirs.iter().any(|(_, other, _)| is_it(other))
    {
        return;
    }
    if matches!(folder::end(space), Ok(true)) {
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
        if space.catch_up(&mut at_once()).is_ok() {
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
        trust::distrust(&made);
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
    if pickle || trust::is_distrusted(space) {
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
        trust::distrust(&space);
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
    let space = keep(entering(py, || folder::attach(path, uuid, HOOKS))?);
    if space.kind() == folder::PRIVATE {
        open().private.get_or_insert(space);
    }
    Ok(space)
}

/// Makes a place for the child in every space, before `os.fork()`. Where there is none to be had
/// the child looks for one itself when it first uses an object, and is told what is wrong.
#[pyfunction]
pub fn before_fork() {
    let spaces = open().spaces.clone();
    for space in spaces {
        if let Ok(Some(heir)) = fork::before(space) {
            open().heirs.push((thread(), space, heir));
        }
    }
}

type Heirs = Vec<(u32, &'static Space, fork::Heir)>;

/// This thread's heirs, and those of others.
fn heirs() -> (Heirs, Heirs) {
    let all = std::mem::take(&mut open().heirs);
    all.into_iter()
        .partition(|&(forker, _, _)| forker == thread())
}

#[pyfunction]
pub fn after_fork_in_parent() {
    let (ours, others) = heirs();
    open().heirs.extend(others);
    for (_, space, heir) in ours {
        fork::after_in_parent(heir);
        end_if_over(space); // perhaps another thread could not, beside an heir
    }
}

#[pyfunction]
pub fn after_fork_in_child(py: Python<'_>) -> PyResult<()> {
    ending::after_fork();
    let (ours, others) = heirs();
    // Children that other threads of the parent were about to fork: not ours to keep alive.
    for (_, _, heir) in others {
        fork::after_in_parent(heir);
    }
    for (_, space, heir) in ours {
        fork::after_in_child(space, heir).map_err(|error| raise(py, error))?;
    }
    Ok(())
}

/// At exit, the last process of a private space removes its file: later than all that Python runs
/// then, which may still start processes and hand objects to them. False: it cannot be arranged.
#[pyfunction]
pub fn leave_at_exit() -> bool {
    extern "C" fn at_exit() {
        let _ = std::panic::catch_unwind(leave); // nobody is left to be told
    }
    // SAFETY: the function calls nothing of Python's, which is gone by then.
    unsafe { pyo3::ffi::Py_AtExit(Some(at_exit)) == 0 }
}

/// This process comes to its end by itself: nobody will miss it at a barrier that it was a party of.
#[pyfunction]
pub fn end_by_itself() {
    let Ok(open) = OPEN.try_lock() else {
        return; // a thread that ended with the interpreter
    };
    for space in &open.spaces {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        if let Some(participant) = unsafe { space.registered().as_ref() } {
            participant.end_by_itself(&space.segment);
        }
    }
}

/// The last process of a private space removes its file. The mapping stays, for what still runs after.
#[pyfunction]
pub fn leave() {
    end_by_itself();
    let spaces = match OPEN.try_lock() {
        Ok(open) => open.spaces.clone(),
        Err(_) => return, // a thread that ended with the interpreter: the next process cleans up
    };
    for space in spaces {
        // SAFETY: participants are leaked boxes: a pointer that was ever installed stays good.
        let own = unsafe { space.registered().as_ref() }.map(|participant| participant.me.slot);
        if own.is_some() {
            let _ = folder::remove_if_dead(&space.segment.path(), own);
        }
    }
}

/// Removes the files of private spaces whose processes are all gone; how many.
#[pyfunction]
pub fn clean(py: Python<'_>) -> usize {
    let folder = chosen(py).map(|chosen| folder::open(chosen.as_deref()));
    match folder {
        Ok(Ok(folder)) => folder::clean(&folder),
        _ => 0, // whoever makes a space is told
    }
}

/// Proves that a space does not contradict itself.
///
/// # Errors
/// `CorruptError` with the first contradiction.
pub fn check(py: Python<'_>, space: &'static Space) -> PyResult<()> {
    waiting(py, |patience| check::check(space, patience)).map(drop)
}

/// Counts what a space holds; `recover`: once what the dead held is given back.
///
/// # Errors
/// `CorruptError` where what is counted makes no sense.
pub fn census(py: Python<'_>, space: &'static Space, recover: bool) -> PyResult<[u64; 10]> {
    let count = if recover { census::count } else { census::look };
    let census = waiting(py, |patience| count(space, patience))?;
    let Census {
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        names,
        tickets,
        participants,
        free,
        taken,
    } = census;
    Ok([
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        names,
        tickets,
        participants,
        free,
        taken,
    ])
}
