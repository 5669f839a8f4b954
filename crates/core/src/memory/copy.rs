//! Rows of words between shared memory and our own, as fast as the machine copies.
//!
//! A peer may change what is read, and reads what is written. Every word is read and written at
//! once, as by relaxed atomics, and words in no order. Whole lines are copied by instructions that
//! the compiler does not look into: it must not take them for plain memory.

use crate::sync::{AtomicU64, Ordering};

/// So many words are worth copying by whole lines.
const MANY: usize = 32;
const LINE: usize = 8;

/// Copies words out.
#[inline(always)]
pub fn out(from: &[AtomicU64], to: &mut [[u8; 8]]) {
    let count = lines(from.len().min(to.len()));
    if count > 0 {
        // SAFETY: both have that many lines; `to` is ours alone.
        unsafe { copy_lines(from.as_ptr().cast(), to.as_mut_ptr().cast(), count) };
    }
    for (word, to) in from.iter().zip(to).skip(count * LINE) {
        *to = word.load(Ordering::Relaxed).to_ne_bytes();
    }
}

/// Copies words in.
#[inline(always)]
pub fn into(from: &[[u8; 8]], to: &[AtomicU64]) {
    let count = lines(from.len().min(to.len()));
    if count > 0 {
        let target = to.as_ptr().cast_mut();
        // SAFETY: both have that many lines, and atomics may be written through shared references.
        unsafe { copy_lines(from.as_ptr().cast(), target.cast(), count) };
    }
    for (from, word) in from.iter().zip(to).skip(count * LINE) {
        word.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
    }
}

/// Copies words from one place to another; the two do not overlap.
#[inline(always)]
pub fn within(from: &[AtomicU64], to: &[AtomicU64]) {
    let count = lines(from.len().min(to.len()));
    if count > 0 {
        let target = to.as_ptr().cast_mut();
        // SAFETY: as in `into`.
        unsafe { copy_lines(from.as_ptr().cast(), target.cast(), count) };
    }
    for (from, to) in from.iter().zip(to).skip(count * LINE) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// How many whole lines of so many words are copied as such.
#[inline(always)]
fn lines(words: usize) -> usize {
    if words < MANY || cfg!(not(target_arch = "x86_64")) {
        return 0;
    }
    words / LINE
}

/// Copies lines of eight words, two words a step: each lies in one half of a step, and is moved at
/// once, wherever the step begins.
///
/// # Safety
/// There are `count` lines at both, 1 or more, aligned to words; they do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
unsafe fn copy_lines(from: *const u64, to: *mut u64, count: usize) {
    // SAFETY: it touches no other memory.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "dec {count}",
            "jnz 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            count = inout(reg) count => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// # Safety
/// As above.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy_lines(_: *const u64, _: *mut u64, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_every_word_of_any_row() {
        for length in (0..100).chain([1000, 4099]) {
            for lead in 0..3 {
                let source: Vec<[u8; 8]> = (0..length as u64)
                    .map(|number| (number + 1).to_ne_bytes())
                    .collect();
                let shared = |length| -> Vec<AtomicU64> {
                    (0..length + 4).map(|_| AtomicU64::new(0)).collect()
                };
                let (first, second) = (shared(length), shared(length));
                into(&source, &first[lead..lead + length]);
                within(&first[lead..lead + length], &second[1..=length]);
                let mut back = vec![[0; 8]; length];
                out(&second[1..=length], &mut back);
                assert_eq!(back, source, "{length} words");
                let beside = |words: &[AtomicU64], at: usize| words[at].load(Ordering::Relaxed);
                assert_eq!(beside(&first, lead + length), 0);
                assert_eq!(beside(&second, length + 1), 0);
                assert_eq!(beside(&second, 0), 0);
            }
        }
    }
}
