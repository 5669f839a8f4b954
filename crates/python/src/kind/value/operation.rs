//! What is done with a value: a scalar by one load, store or atomic operation, any other by its bytes.

use super::bytes::MANY;
use super::state::RawValue;
use crate::error::changed_inside;
use crate::format::{self, Format, overflow};
use crate::object::{self, This};
use pyo3::prelude::*;

impl This<'_, RawValue> {
    pub fn get(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let participant = self.handle.open(py)?;
        let width = self.format.width();
        if width != 0 {
            let bits = format::load(&self.handle.space.segment, self.data(), width);
            return self.format.decode(py, bits);
        }
        if self.format == Format::Stored {
            return Ok(self.load_stored(py)?.0);
        }
        let bytes = self.read_bytes(py, &participant)?;
        self.object_of(py, &bytes)
    }

    pub fn set(self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let width = self.format.width();
        if width != 0 {
            let bits = self.format.encode(value)?;
            let (segment, at) = (&self.handle.space.segment, self.data());
            return self.change(value.py(), || format::store(segment, at, width, bits));
        }
        if self.format == Format::Stored {
            return self.store_stored(value, None).map(drop);
        }
        self.write_bytes(value.py(), 0, &self.raw_of(value)?, None)
            .map(drop)
    }

    pub fn increment<'py>(
        self,
        py: Python<'py>,
        n: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let format = self.format;
        if format == Format::Stored {
            let one = 1i32.into_pyobject(py)?.into_any();
            let mut sum = None;
            self.update(py, |value| {
                let new = value.add(n.as_ref().unwrap_or(&one))?;
                sum = Some(new.clone().unbind());
                Ok(Some(new))
            })?;
            return sum.ok_or_else(|| self.no_count());
        }
        if !format.counts() {
            return Err(self.no_count());
        }
        let step = match (&n, format) {
            (Some(n), _) => format.encode(n)?,
            (None, Format::Float { width: 4 }) => u64::from(1f32.to_bits()),
            (None, Format::Float { .. }) => 1f64.to_bits(),
            (None, _) => 1,
        };
        let (segment, at, width) = (&self.handle.space.segment, self.data(), format.width());
        if let Format::Integer { .. } = format {
            let old = self.change(py, || format::fetch_add(segment, at, width, step))?;
            return format.decode(py, old.wrapping_add(step));
        }
        let sum = self.change(py, || {
            let mut old = format::load(segment, at, width);
            loop {
                let new = format.add(old, step)?;
                match format::compare_exchange(segment, at, width, old, new) {
                    Ok(_) => return Some(new),
                    Err(now) => old = now,
                }
            }
        })?;
        sum.map_or_else(|| Err(overflow()), |bits| format.decode(py, bits))
    }

    pub fn exchange<'py>(self, new: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        if !self.is_scalar() {
            return self
                .update(new.py(), |_| Ok(Some(new.clone())))
                .map(Bound::unbind);
        }
        let bits = self.format.encode(new)?;
        let (segment, at, width) = (&self.handle.space.segment, self.data(), self.format.width());
        let old = self.change(new.py(), || format::swap(segment, at, width, bits))?;
        self.format.decode(new.py(), old)
    }

    pub fn compare_exchange<'py>(
        self,
        expected: &Bound<'py, PyAny>,
        new: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        let py = new.py();
        if !self.is_scalar() {
            let mut equal = false;
            self.update(py, |value| {
                equal = object::equal(value, expected)?;
                Ok(equal.then(|| new.clone()))
            })?;
            return Ok(equal);
        }
        let bits = self.format.encode(new)?;
        for _ in 0..MANY {
            let _open = self.handle.open(py)?;
            let old = self.load_bits();
            if !object::equal(self.format.decode(py, old)?.bind(py), expected)? {
                return Ok(false);
            }
            if self.exchange_bits(py, old, bits)? {
                return Ok(true);
            }
        }
        Err(changed_inside("the value"))
    }

    pub fn mutate<'py>(
        self,
        py: Python<'py>,
        r#fn: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut made = None;
        self.update(py, |value| {
            let new = r#fn.call1((value,))?;
            if new.is_none() {
                object::refuse_none(value, self.format == Format::Stored)?;
            }
            let new = self.converted(new)?;
            made = Some(new.clone());
            Ok(Some(new))
        })?;
        made.ok_or_else(|| changed_inside("the value"))
    }
}
