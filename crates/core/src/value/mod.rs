//! A value in a container: a word that says it all, or a block behind it.

mod stored;
mod words;

pub use stored::{
    Form, Found, NewValue, SHORT_MOST, Take, Taken, copy, discard, find, form_of, prepare, take,
    tidy,
};
pub use words::{Words, free_words_step};
