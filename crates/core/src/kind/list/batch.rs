//! Many values, ready to become elements at once.

use crate::change::operation::{Operation, Purpose};
use crate::error::Result;
use crate::room;
use crate::seed::{Bug, seeded};
use crate::space::Caller;
use crate::value::{NewValue, Words};

/// Values about to be linked: their words; those that name blocks are also in a block of ours.
pub struct Batch<'a> {
    pub(super) values: Vec<u64>,
    owned: Option<Words<'a>>,
    /// How many of them are there: known here, for memory there is anybody's to scribble on.
    linked: u64,
    room: u64,
}

impl<'a> Batch<'a> {
    /// For at most so many.
    pub fn new(room: u64) -> Batch<'a> {
        Batch {
            values: Vec::new(),
            owned: None,
            linked: 0,
            room,
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.values.len() as u64
    }

    /// Makes a value the batch's.
    ///
    /// # Errors
    /// `Full`, `NoMemory`: the batch then has one less.
    ///
    /// # Crash
    /// One record takes a block from our hands into the batch, which is ours.
    pub fn add(&mut self, caller: Caller<'a, '_>, value: &NewValue) -> Result<()> {
        room::reserve(&mut self.values, 1)?;
        if let NewValue::Word(word) = value {
            self.values.push(*word);
            return Ok(());
        }
        let owned = match &self.owned {
            Some(owned) => owned,
            None => self
                .owned
                .insert(Words::new(Purpose::Store, caller, self.room)?),
        };
        let linked = self.linked;
        assert!(linked < owned.room, "a batch has room for {}", owned.room);
        let word = caller.run(|operation| {
            let word = value.word(operation)?;
            value.link(operation)?;
            operation.write(owned.word(linked), word);
            operation.write(owned.count_word(), linked + 1);
            operation.commit();
            Ok(word)
        })?;
        self.values.push(word);
        self.linked += 1;
        Ok(())
    }

    /// Writes the entry that ends our ownership of all.
    pub(super) fn transfer(&self, operation: &mut Operation) {
        if let Some(owned) = &self.owned
            && !seeded(Bug::BatchKept)
        {
            operation.write(owned.count_word(), 0);
        }
    }
}
