//! `Dict`: a table with values: what `courtyard.Dict` has and `courtyard.Set` has not.

use super::state::{Dict, Table, absent, end, opened};
use super::update;
use crate::argument::{Given, Truth};
use crate::codec::identity::{with_key, with_known_key};
use crate::codec::{self, Buffers, Links, failure};
use crate::object::{self, Address, Edit, Place, Spot};
use crate::value::reference::again;
use courtyard_core::table::{self, Want, When};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

struct UnderKey {
    map: Py<Dict>,
    key: Py<PyAny>,
    default: Option<Py<PyAny>>,
}

impl Place for UnderKey {
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let key = self.key.bind(py);
        let found = opened(self.map.bind(py).as_super(), |this| {
            with_known_key(key, |identity| Ok(this.find(py, &identity)?.0))
        })?;
        let default = self.default.as_ref().map(|value| value.bind(py));
        or_default(found.flatten(), default, key)
            .map_err(|error| failure::of(self.map.bind(py), error))
    }

    fn spot(&self, py: Python<'_>) -> PyResult<Spot> {
        let map = self.map.bind(py).as_super().as_super().get();
        with_key(self.key.bind(py), |identity| {
            Spot::new(&map.handle, identity.key.bytes)
        })
    }

    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        // As the class has it: a NestedDict makes shared ones of dicts.
        self.map.bind(py).set_item(self.key.bind(py), value)
    }
}

/// The value of a key, or a copy of the default.
fn or_default<'py>(
    value: Option<Bound<'py, PyAny>>,
    default: Option<&Bound<'py, PyAny>>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match (value, default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => codec::copy_of_default(default),
        (None, None) => Err(absent(key)),
    }
}

/// What a missing key comes to: the class's `__missing__`, or KeyError.
fn missing<'py>(slf: &Bound<'py, Dict>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    let class = slf.get_type();
    if class.hasattr(intern!(py, "__missing__"))? {
        return slf.call_method1(intern!(py, "__missing__"), (key,));
    }
    Err(absent(key))
}

#[pymethods]
impl Dict {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<Dict>> {
        Ok(Table::make(py, address.as_ref())?.add_subclass(Dict))
    }

    pub(super) fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let found = opened(slf.as_super(), |this| {
            with_known_key(key, |identity| Ok(this.find(py, &identity)?.0))
        })?;
        found.flatten().map_or_else(|| missing(slf, key), Ok)
    }

    pub(super) fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        opened(slf.as_super(), |this| {
            with_key(key, |identity| {
                this.store(slf.py(), key, &identity, value, When::Always)
            })
        })
        .map(drop)
    }

    pub(super) fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let removed = opened(slf.as_super(), |this| {
            with_known_key(key, |identity| {
                this.remove(slf.py(), &identity, When::Always)
            })
        })?;
        if removed == Some(true) {
            Ok(())
        } else {
            Err(absent(key))
        }
    }

    /// Return the value of a key, or default.
    ///
    /// The value is a complete copy of what was stored. Never waits; some 70 ns for a number,
    /// and one copy of a large one.
    ///
    /// With copy=False the buffers of NumPy arrays, of DataFrames and the like are read-only: large
    /// ones (from 32 kB) are views of the shared memory, with no copy, however large they are. A
    /// view keeps its memory, and does not change when the key gets another value. Up to 48 can be
    /// live at a time in a process; beyond that, and where they are small, they are read-only
    /// copies. `a.copy()` makes one that can be written to. Use it for large values that you only
    /// read.
    ///
    /// Raises TypeError for a key that cannot be hashed. As dict.get.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1)
    /// >>> d.get("a"), d.get("b"), d.get("b", 0)
    /// (1, None, 0)
    #[pyo3(
        signature = (key, default=None, /, *, copy=Truth(true)),
        text_signature = "($self, key, default=None, /, *, copy=True)"
    )]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
        copy: Truth,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let whose = Buffers::copied(copy.0);
        let found = opened(slf.as_super(), |this| {
            with_known_key(key, |identity| {
                Ok(this.find_key(py, &identity.key, whose)?.0)
            })
        })?;
        Ok(found
            .flatten()
            .or(default)
            .unwrap_or_else(|| py.None().into_bound(py)))
    }

    /// Return the value of a key; store default there first if there is none.
    ///
    /// Atomic: of many processes that call it together one stores its default, and all return that.
    /// Waits while another holds get_lock(). Unlike dict.setdefault, it returns a copy of what is
    /// stored in any case, and so never a list that was given: `edit(key, default)` is for changes in
    /// place.
    ///
    /// Raises what pickling and loading the default raise, and SpaceFull; then nothing has changed. A
    /// process killed meanwhile has stored it, or not.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1)
    /// >>> d.setdefault("a", 5), d.setdefault("b", 6), dict(d)
    /// (1, 6, {'a': 1, 'b': 6})
    #[pyo3(signature = (key, default=None, /))]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let default = default.unwrap_or_else(|| py.None().into_bound(py));
        opened(slf.as_super(), |this| {
            with_key(key, |identity| {
                loop {
                    if let Some(value) = this.find(py, &identity)?.0 {
                        return Ok(value);
                    }
                    let copy = codec::copy_of_default(&default)?;
                    if this.store(py, key, &identity, &default, When::Absent)? {
                        return Ok(copy);
                    }
                }
            })
        })
    }

    /// Remove a key and return its value, or default if there is none.
    ///
    /// Atomic: one of many processes gets the value. Waits while another holds get_lock().
    ///
    /// Raises KeyError if there is neither, and what loading the value raises: then it stays. A
    /// process killed meanwhile has removed the key, or not; the value that it removed is gone with
    /// it. As dict.pop.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1)
    /// >>> d.pop("a"), d.pop("a", None)
    /// (1, None)
    #[pyo3(signature = (key, /, *default))]
    fn pop<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let count = default.len() + 1;
            let message = format!("pop expected at most 2 arguments, got {count}");
            return Err(PyTypeError::new_err(message));
        }
        match update::take(slf.as_super(), key)? {
            Some(value) => Ok(value),
            None if default.len() == 1 => default.get_item(0),
            None => Err(absent(key)),
        }
    }

    /// Remove the key that was put in last, or, with last=False, first; return it and its value.
    ///
    /// Atomic, as pop(); waits while another holds get_lock(). Costs the same however many keys there
    /// are.
    ///
    /// Raises KeyError if there is none, and what loading key or value raises: then they stay. A
    /// process killed meanwhile has removed the key, or not; the value that it removed is gone with
    /// it. As OrderedDict.popitem.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1, b=2, c=3)
    /// >>> d.popitem(), d.popitem(last=False), dict(d)
    /// (('c', 3), ('a', 1), {'b': 2})
    #[pyo3(signature = (last=true))]
    fn popitem<'py>(
        slf: &Bound<'py, Self>,
        last: bool,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        update::pop_end(slf.as_super(), end(last))?
            .ok_or_else(|| PyKeyError::new_err("popitem(): dictionary is empty"))
    }

    /// Make a key the last in the order, or, with last=False, the first; its value stays.
    ///
    /// Atomic; waits while another holds get_lock(). Costs the same however many keys there are.
    ///
    /// Raises KeyError if there is no such key, TypeError for one that cannot be hashed, SpaceFull;
    /// then nothing has changed. A process killed meanwhile has moved it, or not. As
    /// OrderedDict.move_to_end.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(a=1, b=2, c=3)
    /// >>> d.move_to_end("a"); d.move_to_end("c", last=False); list(d)
    /// ['c', 'b', 'a']
    #[pyo3(signature = (key, last=Truth(true)), text_signature = "($self, /, key, last=True)")]
    fn move_to_end(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, last: Truth) -> PyResult<()> {
        let moved = opened(slf.as_super(), |this| {
            with_known_key(key, |identity| {
                this.open.waiting(slf.py(), |caller| {
                    let key = &identity.key;
                    let end = end(last.0);
                    table::move_to_end(caller, this.table, key, end)
                })
            })
        })?;
        match moved {
            Some(true) => Ok(()),
            _ => Err(absent(key)),
        }
    }

    /// All keys and values, in their order of insertion, as they were at one moment; or what is left
    /// of them after the first: see Table._keys.
    #[pyo3(signature = (begun=None, /))]
    fn _items<'py>(
        slf: &Bound<'py, Self>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        opened(slf.as_super(), |this| again(py, || this.items(py, begun)))
    }

    /// As _items, in a plain dict.
    fn _copied<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        opened(slf.as_super(), |this| again(py, || this.dict(py)))
    }

    /// As _items, the values alone.
    #[pyo3(signature = (begun=None, /))]
    fn _values<'py>(
        slf: &Bound<'py, Self>,
        begun: Option<(i64, i64)>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        opened(slf.as_super(), |this| again(py, || this.values(py, begun)))
    }

    /// The key and the value at an end, in a list; what _items then takes.
    fn _first_item<'py>(
        slf: &Bound<'py, Self>,
        last: bool,
    ) -> PyResult<(Bound<'py, PyList>, (i64, i64))> {
        let py = slf.py();
        opened(slf.as_super(), |this| {
            again(py, || {
                let (pairs, begun) = this.first(py, Want::Items, end(last))?;
                Ok(this.items_of(py, &pairs, None)?.map(|items| (items, begun)))
            })
        })
    }

    /// The values of those of the keys that there are, as they were at one moment.
    fn _find_all<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let table = slf.as_super();
        opened(table, |this| update::find_all(this, table, keys))
    }

    /// Adds the values of a dict to those of its keys, or takes them off, at once.
    fn _add_all(slf: &Bound<'_, Self>, pairs: &Bound<'_, PyDict>, negative: bool) -> PyResult<()> {
        update::add_all(slf.as_super(), pairs, negative)
    }

    /// Add n to the value of a key and return the new value.
    ///
    /// Atomic: of any number of processes no count is lost. A missing key counts as default. Any
    /// values that `+` takes will do; those written in Python are added as mutate() calls fn. Waits
    /// while another holds get_lock(). Some 100 ns for an int.
    ///
    /// Raises what the addition raises; then nothing has changed. A killed process has added, or
    /// not.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict()
    /// >>> d.increment("seen"), d.increment("seen", 5), d.increment("words", ["a"], default=[])
    /// (1, 6, ['a'])
    #[pyo3(
        signature = (key, n=Given(None), default=Given(None)),
        text_signature = "($self, /, key, n=1, default=0)"
    )]
    fn increment<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        n: Given<'py>,
        default: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let number = |n: i32| n.into_pyobject(py).map(Bound::into_any);
        let n = n.0.map_or_else(|| number(1), Ok)?;
        let default = default.0.map_or_else(|| number(0), Ok)?;
        let mut sum = None;
        update::update(slf.as_super(), key, |value| {
            let new = value.unwrap_or_else(|| default.clone()).add(&n)?;
            sum = Some(new.clone());
            Ok(Some(new))
        })?;
        sum.ok_or_else(|| absent(key))
    }

    /// Store a new value under a key if its value equals what is expected; return whether it did.
    ///
    /// Atomic. A missing key equals nothing. Arrays and DataFrames are compared as a whole: they are
    /// equal if all elements are. Waits while another holds get_lock(). An `__eq__` written in
    /// Python is called as mutate() calls fn.
    ///
    /// Raises what the comparison raises, TypeError for what has no single truth value, and what
    /// pickling new raises, stored or not; then nothing has changed. A process killed meanwhile has
    /// stored it, or not.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(state="free")
    /// >>> d.compare_exchange("state", "free", "taken"), d.compare_exchange("state", "free", "mine")
    /// (True, False)
    fn compare_exchange<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        expected: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        let mut equal = false;
        update::update(slf.as_super(), key, |value| {
            equal = match value {
                Some(value) => object::equal(&value, expected)?,
                None => false,
            };
            Ok(equal.then(|| new.clone()))
        })?;
        if !equal {
            // What cannot be stored is refused in any case.
            codec::encode(new, Links::Keep)?;
        }
        Ok(equal)
    }

    /// Replace the value of a key by fn(value) and return that; for a missing key fn gets the default.
    ///
    /// Atomic. Nothing is locked while fn runs, and **fn may be called again** if another writer
    /// changed the dict in between, so it should have no other effects. After 30 such calls,
    /// get_lock() is held for the next. So fn must not wait for what another process or thread does, which
    /// may wait for that lock. Each call of fn gets a copy of its own, of the value or of the default, and
    /// must **return the new value**: changing the copy alone has no effect. `with d.edit(key) as
    /// value:` is for changes in place. Waits while another holds get_lock().
    ///
    /// Raises KeyError if there is neither value nor default, what pickling and loading the default
    /// raise, what fn raises, what pickling its result raises, RuntimeError if fn itself changes the key,
    /// and SpaceFull; and TypeError if it returns None for what can be changed in place (a list, an
    /// array, an object: all that edit() takes), which is nearly always a `return` that was forgotten:
    /// to store None, assign it. Then nothing else has changed. A process killed meanwhile has replaced
    /// the value, or not.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(words=["a"])
    /// >>> d.mutate("words", lambda words: [*words, "b"])
    /// ['a', 'b']
    /// >>> d.mutate("seen", lambda n: n + 1, default=0)
    /// 1
    #[pyo3(
        signature = (key, r#fn, default=Given(None)),
        text_signature = "($self, /, key, fn, default=...)"
    )]
    fn mutate<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        r#fn: &Bound<'py, PyAny>,
        default: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut made = None;
        update::update(slf.as_super(), key, |value| {
            let value = or_default(value, default.0.as_ref(), key)?;
            let new = r#fn.call1((&value,))?;
            if new.is_none() {
                object::refuse_none(&value, true)?;
            }
            made = Some(new.clone());
            Ok(Some(new))
        })?;
        made.ok_or_else(|| absent(key))
    }

    /// Change the value of a key in place: `with d.edit(key) as value:`. What it became is stored.
    ///
    /// Holds get_lock() from before the value is read until it is stored, so that it is exact beside
    /// all other writers, which wait for it. If the block raises, nothing is stored. For a missing key
    /// the block gets a copy of the default, which is stored with the change. Edits of several keys may
    /// be inside one another.
    ///
    /// It is for values that can be changed in place: a list, a dict, an array, an object. To assign
    /// to the name in the block has no effect, and what the block itself stores under this key is
    /// replaced at its end, also if it deleted the key. In a NestedDict, dicts and lists are shared
    /// ones: what the block does to them is seen at once.
    ///
    /// Raises KeyError if there is neither value nor default; TypeError, before the block, for a value
    /// that cannot be changed in place, nor anything in it: a number, a text, None, a datetime, a tuple
    /// of these. mutate() replaces such a value. Raises RuntimeError in a block of edit() for the same key
    /// in the same thread, and what reading and storing raise, which leaves the old value. What the block
    /// itself stores under the key, other than by the value, is lost when it ends. A process killed in the
    /// block has stored nothing, and the lock is free again.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Dict(cart=["a"])
    /// >>> with d.edit("cart") as cart:
    /// ...     cart.append("b")
    /// >>> d["cart"]
    /// ['a', 'b']
    #[pyo3(
        signature = (key, default=Given(None)),
        text_signature = "($self, /, key, default=...)"
    )]
    fn edit<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Given<'py>,
    ) -> PyResult<Edit> {
        let lock = Bound::new(slf.py(), Table::get_lock(slf.as_super()))?;
        let place = UnderKey {
            map: slf.clone().unbind(),
            key: key.clone().unbind(),
            default: default.0.map(Bound::unbind),
        };
        Ok(Edit::new(lock.into_any(), place))
    }
}
