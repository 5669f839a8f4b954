//! `Space`: a place where objects live, as Python has it.

use super::description::{describe, described};
use super::inspect::{View, census, check_space, view};
use crate::error::{named, raise, waiting};
use crate::object::waiter::{self, Deadline};
use crate::object::{Address, address, handle_of, require_handle};
use crate::policy;
use crate::process;
use courtyard_core::directory::{self, Ticket};
use courtyard_core::folder::{self, Wish};
use courtyard_core::layout::superblock;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::participant::Participant;
use courtyard_core::space;
use courtyard_core::space::Caller;
use courtyard_core::sync::{AtomicBool, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::path::PathBuf;

/// A space that this process has open. `courtyard.Space` is what programs use.
#[pyclass(frozen, weakref, module = "courtyard._native")]
pub struct Space {
    pub space: &'static space::Space,
    closed: AtomicBool,
}

/// What a name leads to: what it was declared as, its object's address, and its companion's.
type Found<'py> = (Bound<'py, PyAny>, Address, Option<Address>);

/// What the files of a folder say: path, kind, name, whether somebody holds it, whether it is a
/// draft, bytes, objects, names, tickets.
type Listed = (PathBuf, u64, String, bool, bool, u64, u64, u64, u64);

/// The spaces in the folder of this user, and drafts of spaces.
#[pyfunction]
pub fn spaces(py: Python<'_>) -> PyResult<Vec<Listed>> {
    let folder = process::own_folder(py)?;
    let listed = folder::list(&folder).map_err(|error| raise(py, error))?;
    Ok(listed.into_iter().map(listed_as).collect())
}

/// What one file says.
#[pyfunction]
pub fn space_at(py: Python<'_>, path: PathBuf) -> PyResult<Listed> {
    let listed = folder::read(&path).map_err(|error| raise(py, error))?;
    Ok(listed_as(listed))
}

fn listed_as(listed: folder::Listed) -> Listed {
    (
        listed.path,
        listed.kind,
        listed.title,
        listed.alive,
        listed.draft,
        listed.bytes,
        listed.objects,
        listed.names,
        listed.tickets,
    )
}

/// Removes the file of a space; False: it is in use.
#[pyfunction]
pub fn remove_space(py: Python<'_>, path: PathBuf, force: bool) -> PyResult<bool> {
    folder::remove(&path, None, force).map_err(|error| raise(py, error))
}

/// Removes a private space or a draft that nobody holds; False: it stays.
#[pyfunction]
pub fn remove_orphan(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
    folder::remove_if_dead(&path, None).map_err(|error| raise(py, error))
}

/// The file of a named space.
#[pyfunction]
pub fn space_path(py: Python<'_>, title: &str) -> PyResult<PathBuf> {
    let folder = process::own_folder(py)?;
    folder::file_name(&folder, title).map_err(|error| raise(py, error))
}

/// The folder of this user's spaces.
#[pyfunction]
pub fn folder_of_spaces(py: Python<'_>) -> PyResult<PathBuf> {
    process::own_folder(py)
}

impl Drop for Space {
    fn drop(&mut self) {
        self.close();
    }
}

impl Space {
    fn on(space: &'static space::Space) -> Space {
        process::enter(space);
        Space {
            space,
            closed: AtomicBool::new(false),
        }
    }

    /// Who we are there, and a way into it while a call runs: another thread may close us meanwhile.
    fn inside(&self, py: Python<'_>) -> PyResult<(&'static Participant, process::Way)> {
        if self.closed.load(Ordering::Relaxed) {
            let what = "this space was closed in this process while it was in use";
            return Err(named(py, "Closed", what.into()));
        }
        let way = process::Way::new(self.space);
        let participant = waiting(py, |wait| self.space.participate(wait))?;
        Ok((participant, way))
    }

    /// The object behind a handle of this space.
    fn object_of(&self, object: &Bound<'_, PyAny>) -> PyResult<ObjectId> {
        let handle = require_handle(object)?;
        if !std::ptr::eq(handle.space, self.space) {
            return Err(PyValueError::new_err(
                "the object is of another space than the name: make it in this one",
            ));
        }
        handle.require_open(object.py())?;
        Ok(handle.id())
    }
}

#[pymethods]
impl Space {
    /// The space that a pickle names.
    #[staticmethod]
    #[pyo3(signature = (path, uuid, looks=false))]
    fn attached(py: Python<'_>, path: PathBuf, uuid: u128, looks: bool) -> PyResult<Space> {
        let space = match looks {
            true => process::looked_at(py, &path, uuid)?,
            false => process::attached(py, &path, uuid)?,
        };
        Ok(Space::on(space))
    }

    /// A private space of its own.
    #[staticmethod]
    fn private(py: Python<'_>, limit: Option<u64>, pickle: bool) -> PyResult<Space> {
        let space = process::another(py, limit.unwrap_or(0), pickle)?;
        Ok(Space::on(space))
    }

    /// Notes that a pickle of it is made, and returns what that says.
    fn address(&self) -> (PathBuf, u128) {
        self.space.sent.store(true, Ordering::Relaxed);
        (self.space.segment.path(), self.space.uuid)
    }

    /// The named space of that name. `looks`: only to look, so that what the dead hold stays.
    #[staticmethod]
    #[pyo3(signature = (title, create, limit, pickle, looks=false))]
    fn named(
        py: Python<'_>,
        title: &str,
        create: bool,
        limit: Option<u64>,
        pickle: bool,
        looks: bool,
    ) -> PyResult<Space> {
        let wish = Wish {
            create,
            limit,
            looks,
        };
        let space = process::named(py, title, wish, pickle)?;
        Ok(Space::on(space))
    }

    /// The space in a file; `looks` as in `named`.
    #[staticmethod]
    #[pyo3(signature = (path, create, limit, pickle, looks=false))]
    fn durable(
        py: Python<'_>,
        path: PathBuf,
        create: bool,
        limit: Option<u64>,
        pickle: bool,
        looks: bool,
    ) -> PyResult<Space> {
        let wish = Wish {
            create,
            limit,
            looks,
        };
        let space = process::durable(py, &path, wish, pickle)?;
        Ok(Space::on(space))
    }

    /// Does not lead there any more. A private space ends with the last that does, and its objects.
    fn close(&self) {
        if !self.closed.swap(true, Ordering::Relaxed) {
            process::exit(self.space);
        }
    }

    /// 1: private, 2: named, 3: durable.
    #[getter]
    fn kind(&self) -> u64 {
        self.space.kind()
    }

    /// Its name; empty if it has none.
    #[getter]
    fn title(&self, py: Python<'_>) -> PyResult<&str> {
        self.space.title().map_err(|error| raise(py, error))
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.space.segment.path()
    }

    #[getter]
    fn uuid(&self) -> u128 {
        self.space.uuid
    }

    /// What makes it the same space as another.
    #[getter]
    fn identity(&self) -> (u64, u64) {
        let identity = self.space.segment.identity();
        (identity.device, identity.inode)
    }

    /// Calls `make(*arguments, **keywords)` so that the objects it makes are of this space.
    fn call<'py>(
        &self,
        make: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
        keywords: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = self.inside(make.py())?;
        process::within(self.space, || make.call(arguments, Some(keywords)))
    }

    /// What a name leads to: what it was declared as, where its object is, to be loaded, and where
    /// that object's companion is; None if there is no such name.
    fn lookup<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Found<'py>>> {
        let (participant, _way) = self.inside(py)?;
        let found = waiting(py, |wait| {
            directory::lookup(Caller::new(self.space, participant, wait), name)
        })?;
        found
            .map(|found| {
                let description = described(py, &found.description)?;
                // No ticket is sent for them: killed before it has loaded them, we leave nothing.
                let address = |object| address(self.space, object, Ticket::NONE);
                Ok((description, address(found.id), found.companion.map(address)))
            })
            .transpose()
    }

    /// Gives an object a name; False if that is taken.
    #[pyo3(signature = (name, description, object, companion=None))]
    fn bind(
        &self,
        py: Python<'_>,
        name: &str,
        description: &Bound<'_, PyAny>,
        object: &Bound<'_, PyAny>,
        companion: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let (participant, _way) = self.inside(py)?;
        let description = describe(description)?;
        let object = self.object_of(object)?;
        let companion = companion.map(|object| self.object_of(object)).transpose()?;
        waiting(py, |wait| {
            let space = self.space;
            directory::bind(
                Caller::new(space, participant, wait),
                name,
                &description,
                object,
                companion,
            )
        })
    }

    /// Takes a name away; False if there is none.
    fn unbind(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let (participant, _way) = self.inside(py)?;
        waiting(py, |wait| {
            directory::unbind(Caller::new(self.space, participant, wait), name)
        })
    }

    /// Calls `look` until it returns something, again each time that an object got a name; None after
    /// so many seconds.
    #[pyo3(signature = (look, timeout=None))]
    fn until_named<'py>(
        &self,
        look: &Bound<'py, PyAny>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = look.py();
        let deadline = Deadline::from_timeout(timeout)?;
        let _inside = self.inside(py)?;
        waiter::attempt_at(py, self.space, superblock::NAMED, deadline, || {
            let found = look.call0()?;
            Ok((!found.is_none()).then_some(found))
        })
    }

    /// All names, in no order.
    fn names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let (participant, _way) = self.inside(py)?;
        let entries = waiting(py, |wait| {
            directory::names(Caller::new(self.space, participant, wait))
        })?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// How many names there are.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let _inside = self.inside(py)?;
        Ok(directory::count(&self.space.segment))
    }

    /// Raises CorruptError if the space is inconsistent.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let _inside = self.inside(py)?;
        check_space(py, self.space)
    }

    /// What the space holds; `recover`: once what the dead held is given back.
    #[pyo3(signature = (recover=true))]
    fn census(&self, py: Python<'_>, recover: bool) -> PyResult<[u64; 10]> {
        let _inside = self.inside(py)?;
        census(py, self.space, recover)
    }

    /// Bytes in use, free, and taken by the whole file.
    fn memory(&self, py: Python<'_>) -> PyResult<(u64, u64, u64)> {
        let _inside = self.inside(py)?;
        let memory = self.space.memory().map_err(|error| raise(py, error))?;
        Ok((memory.live, memory.free, memory.taken))
    }

    /// Gives free memory back to the system; how many bytes went back.
    fn trim(&self, py: Python<'_>) -> PyResult<u64> {
        let _inside = self.inside(py)?;
        waiting(py, |wait| self.space.trim(wait))
    }

    /// Who uses what: all objects.
    fn view<'py>(&self, py: Python<'py>) -> PyResult<View<'py>> {
        let _inside = self.inside(py)?;
        view(py, self.space, None)
    }

    /// The user's limit in bytes; None: there is none.
    #[getter]
    fn limit(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        let _inside = self.inside(py)?;
        let limit = folder::limit_of(self.space);
        Ok((limit > 0).then_some(limit))
    }

    /// Removes its file; False: others use it.
    fn remove(&self, py: Python<'_>, force: bool) -> PyResult<bool> {
        let (participant, _way) = self.inside(py)?;
        let own = participant.me.slot;
        let path = self.space.segment.path();
        if !process::is_at(self.space, &path) {
            return Ok(true); // removed by another
        }
        folder::remove(&path, Some(own), force).map_err(|error| raise(py, error))
    }

    /// Which of its participants we are.
    #[getter]
    fn slot(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.inside(py)?.0.me.slot)
    }

    /// Whether this process refuses pickles there.
    #[getter]
    fn distrusted(&self) -> bool {
        policy::is_distrusted(self.space)
    }

    /// Whether its file can still be found where it was.
    #[getter]
    fn linked(&self) -> bool {
        process::is_at(self.space, &self.space.segment.path())
    }
}

/// The space that an object lives in.
#[pyfunction]
pub fn place_of(object: &Bound<'_, PyAny>) -> PyResult<Space> {
    Ok(Space::on(require_handle(object)?.space))
}

/// Whether two handles are of one object.
#[pyfunction]
pub fn same_object(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    let (one, other) = (handle_of(one), handle_of(other));
    matches!((one, other), (Some(one), Some(other))
        if std::ptr::eq(one.space, other.space) && one.id() == other.id())
}
