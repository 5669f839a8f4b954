//! Room in this process's own memory for what is stored: as long as a value, or as many as a container
//! has. Where there is none, that is an error and no abort. What has a bound of its own, and a small one,
//! needs none of this.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

#[cold]
fn none<T>(list: &[T], more: usize) -> Error {
    let count = list.len().saturating_add(more);
    Error::NoMemory(count.saturating_mul(size_of::<T>()))
}

/// Room for `more` at the end of a list, and for as many again if there is memory for that.
///
/// # Errors
/// `NoMemory`; the list is as it was.
#[inline(always)]
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    if list.capacity() - list.len() >= more {
        return Ok(());
    }
    grow(list, more)
}

#[cold]
fn grow<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    let reserved = list.try_reserve(more);
    let reserved = reserved.or_else(|_| list.try_reserve_exact(more));
    reserved.map_err(|_| none(list, more))
}

/// An empty list with room for just so many.
///
/// # Errors
/// `NoMemory`.
pub fn list<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    match list.try_reserve_exact(count) {
        Ok(()) => Ok(list),
        Err(_) => Err(none(&list, count)),
    }
}

/// So many bytes, all zero: to be copied to.
///
/// # Errors
/// `NoMemory`.
pub fn bytes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = list(length)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// Makes a list longer by one.
///
/// # Errors
/// `NoMemory`; the list is as it was.
#[inline(always)]
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    reserve(list, 1)?;
    list.push(item);
    Ok(())
}

/// Copies bytes, words, to the end of a list.
///
/// # Errors
/// `NoMemory`; the list is as it was.
#[inline(always)]
pub fn append<T: Copy>(list: &mut Vec<T>, items: &[T]) -> Result<()> {
    reserve(list, items.len())?;
    list.extend_from_slice(items);
    Ok(())
}

/// Makes a list of bytes longer by zeros, to be copied to; where these begin.
///
/// # Errors
/// `NoMemory`; the list is as it was.
#[inline(always)]
pub fn lengthen(list: &mut Vec<u8>, more: usize) -> Result<usize> {
    let at = list.len();
    reserve(list, more)?;
    list.resize(at + more, 0);
    Ok(at)
}

/// A copy of bytes, of words.
///
/// # Errors
/// `NoMemory`.
pub fn copy<T: Copy>(items: &[T]) -> Result<Vec<T>> {
    concat(&[items])
}

/// Pieces, one after another.
///
/// # Errors
/// `NoMemory`.
pub fn concat<T: Copy>(pieces: &[&[T]]) -> Result<Vec<T>> {
    let count = pieces.iter().map(|piece| piece.len()).sum();
    let mut all = list(count)?;
    for piece in pieces {
        all.extend_from_slice(piece);
    }
    Ok(all)
}

/// Room in a table for `more`.
///
/// # Errors
/// `NoMemory`.
pub fn reserve_in<K, V, S>(table: &mut HashMap<K, V, S>, more: usize) -> Result<()>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    let bytes = table.len().saturating_add(more) * size_of::<(K, V)>();
    let reserved = table.try_reserve(more);
    reserved.map_err(|_| Error::NoMemory(bytes))
}

/// A list of all that comes.
///
/// # Errors
/// `NoMemory`.
pub fn collect<T>(items: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let mut items = items.into_iter();
    let least = items.size_hint().0;
    let mut all = list(least)?;
    all.extend(items.by_ref().take(least));
    for item in items {
        push(&mut all, item)?;
    }
    Ok(all)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{append, bytes, collect, concat, list, push, reserve};
    use crate::error::{Error, Result};

    fn needed<T>(made: Result<T>) -> usize {
        match made {
            Err(Error::NoMemory(bytes)) => bytes,
            _ => 0,
        }
    }

    #[test]
    fn what_no_process_has_is_an_error() {
        let far = isize::MAX as usize / 8;
        assert_eq!(needed(list::<u64>(far + 1)), 8 * (far + 1));
        assert_eq!(needed(bytes(usize::MAX)), usize::MAX);
        let mut words = vec![1u64, 2];
        assert_eq!(needed(reserve(&mut words, far)), 8 * (far + 2));
        assert_eq!(words, [1, 2]);
    }

    #[test]
    fn grows_and_copies() {
        let mut words = list(2).unwrap();
        for word in 0..100 {
            push(&mut words, word).unwrap();
        }
        append(&mut words, &[1, 2]).unwrap();
        assert_eq!(words, collect((0..100).chain([1, 2])).unwrap());
        assert_eq!(concat(&[&words[..1], &words[101..]]).unwrap(), [0, 2]);
        assert_eq!(bytes(3).unwrap(), [0; 3]);
    }
}
