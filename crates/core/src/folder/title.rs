//! File names that say which named space a file is.

use super::place::SUFFIX;
use crate::error::{Error, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The most characters of a space's name.
pub const LONGEST_TITLE: usize = 255;

/// The most bytes of a file name's stem: beside the suffix, with room to spare.
const STEM: usize = 200;

/// The file of the named space of that name: the name itself where that is plain, else with the
/// bytes of other characters as `%xx`; a hash stands for the rest of what is too long.
///
/// # Errors
/// `Refused` for what cannot be a name.
pub fn file_name(folder: &Path, title: &str) -> Result<PathBuf> {
    let characters = title.chars().count();
    let wrong = match title {
        "" => Some("it is empty".to_owned()),
        "." | ".." => Some("it names a folder".to_owned()),
        _ if characters > LONGEST_TITLE => Some(format!("it has {characters} characters")),
        _ if title.contains(['/', '\0']) => Some("it contains '/' or NUL".to_owned()),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Error::Refused(format!(
            "the name {title:?} of a space: {wrong}; expected 1 to {LONGEST_TITLE} characters, \
             none of them '/' or NUL"
        )));
    }
    // Private spaces have 32 digits for a name.
    let like_private = title.len() == 32 && title.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut stem = String::new();
    for (at, byte) in title.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if plain && (at > 0 || byte != b'.' && !like_private) {
            stem.push(char::from(byte));
        } else {
            let _ = write!(stem, "%{byte:02x}"); // a String takes anything
        }
    }
    if stem.len() > STEM {
        let hash = xxhash_rust::xxh3::xxh3_128(title.as_bytes());
        stem.truncate(STEM - 40);
        let _ = write!(stem, "%%{hash:032x}");
    }
    Ok(folder.join(format!("{stem}.{SUFFIX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_files() {
        let of = |title: &str| {
            let path = file_name(Path::new(""), title).unwrap();
            path.to_str().unwrap().to_owned()
        };
        assert_eq!(of("myapp"), "myapp.cy1");
        assert_eq!(of("my app"), "my%20app.cy1");
        assert_eq!(of(".hidden"), "%2ehidden.cy1");
        assert_eq!(of("100%"), "100%25.cy1");
        assert_eq!(of("ä"), "%c3%a4.cy1");
        let digits = "0123456789abcdef0123456789abcdef";
        assert_eq!(of(digits), format!("%30{}.cy1", &digits[1..]));
        let (long, longer) = ("字".repeat(254), "字".repeat(255));
        assert!(of(&longer).len() < 255);
        assert_ne!(of(&long), of(&longer));
    }

    #[test]
    fn what_cannot_be_a_name() {
        let long = "x".repeat(256);
        for title in ["", ".", "..", "a/b", "a\0b", long.as_str()] {
            let refused = file_name(Path::new(""), title);
            assert!(matches!(refused, Err(Error::Refused(_))), "{title:?}");
        }
        assert!(file_name(Path::new(""), &"x".repeat(255)).is_ok());
    }
}
