//! Blocks that stand for all of an object: how much a large one takes, without a walk over it.

use crate::space::Blocks;

/// An object of at most so many elements is counted.
pub const COUNTED: u64 = 4096;
/// So many elements of a larger one are looked at: each costs some accesses to memory that no cache has.
pub const SAMPLED: u64 = 2048;

/// Some blocks of an object, each with how many of its blocks it stands for.
#[derive(Debug, Default, PartialEq)]
pub struct Sample {
    pub blocks: Vec<(u64, f64)>,
}

impl Sample {
    /// A block that stands for itself.
    pub fn add(&mut self, block: u64) {
        self.blocks.push((block, 1.0));
    }

    /// What was found in so many of so many elements.
    pub fn extend(&mut self, found: Vec<u64>, (looked, elements): (u64, u64)) {
        let each = elements as f64 / looked.max(1) as f64;
        self.blocks
            .extend(found.into_iter().map(|block| (block, each)));
    }
}

/// All of an object's blocks.
impl From<Blocks> for Sample {
    fn from(all: Blocks) -> Sample {
        let blocks = all.blocks.into_iter();
        Sample {
            blocks: blocks.map(|block| (block, 1.0)).collect(),
        }
    }
}

/// Which of `count` elements are looked at: one of each of at most `most` parts of equal length. Which
/// one of a part seems random, so that no pattern of the elements matters, but is always the same.
pub fn places(count: u64, most: u64) -> impl Iterator<Item = u64> {
    let parts = most.min(count);
    let start = move |part: u64| {
        let place = u128::from(part) * u128::from(count) / u128::from(parts);
        u64::try_from(place).unwrap_or(count)
    };
    (0..parts).map(move |part| {
        let (from, to) = (start(part), start(part + 1));
        from + mix(part) % (to - from)
    })
}

/// A number that seems random.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_of_each_part() {
        for count in [0, 1, 2, 9, 10, 11, 4096, 1 << 20, u64::MAX] {
            let found: Vec<u64> = places(count, 10).collect();
            assert_eq!(found.len() as u64, count.min(10));
            let parts = found.len() as u128;
            for (part, place) in found.into_iter().enumerate() {
                let start = part as u128 * u128::from(count) / parts;
                let end = (part as u128 + 1) * u128::from(count) / parts;
                assert!(
                    (start..end).contains(&u128::from(place)),
                    "{place} of {count}"
                );
            }
        }
    }

    #[test]
    fn no_pattern_matters() {
        for period in [2, 3, 4, 16, 256] {
            let found = places(1 << 20, SAMPLED).filter(|place| place % period == 0);
            let share = found.count() as f64 * period as f64 / SAMPLED as f64;
            assert!((0.6..1.4).contains(&share), "{share} of {period}");
        }
    }
}
