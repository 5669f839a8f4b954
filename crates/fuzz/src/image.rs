//! A file's bytes, and how a worker writes them anew.

use crate::state::Known;
use crate::system;
use courtyard_core::layout::{self, PAGE, UNIT, WORD, block, superblock};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A valid file: its pages that are not all zero, and what is in it.
pub struct Image {
    pub name: &'static str,
    pub uuid: u128,
    pub length: u64,
    pub known: Vec<Known>,
    /// Runs of pages: where they start, and their bytes.
    runs: Vec<(u64, Vec<u8>)>,
    /// Where words are that are not zero.
    pub words: Vec<u64>,
    /// Offsets that something in the file names, or could: blocks, chunks, rows, objects.
    pub places: Vec<u64>,
    pub data: u64,
    pub frontier: u64,
}

impl Image {
    pub fn read(name: &'static str, path: &Path, uuid: u128, known: Vec<Known>) -> Image {
        let file = File::open(path).expect("the file");
        let length = file.metadata().expect("its length").len();
        let mut image = Image {
            name,
            uuid,
            length,
            known,
            runs: Vec::new(),
            words: Vec::new(),
            places: Vec::new(),
            data: 0,
            frontier: 0,
        };
        for (start, end) in system::extents(file.as_raw_fd(), length) {
            let mut bytes = vec![0; (end - start) as usize];
            file.read_exact_at(&mut bytes, start).expect("its bytes");
            for (page, at) in bytes
                .chunks(PAGE as usize)
                .zip((start..).step_by(PAGE as usize))
            {
                if page.iter().any(|&byte| byte != 0) {
                    image.add_page(at, page);
                }
            }
        }
        image.data = image.word(superblock::DATA);
        image.frontier = image.data + image.word(superblock::FRONTIER) * UNIT;
        let heap = image.data..image.frontier.max(image.data + UNIT);
        let named = image.words.iter().map(|&at| image.word(at));
        let named = named.filter(|word| heap.contains(word) && word % WORD == 0);
        let units = heap.clone().step_by(UNIT as usize);
        image.places = units
            .flat_map(|unit| [unit, unit + block::LARGE, unit + layout::chunk::BLOCKS])
            .chain(named)
            .collect();
        image.places.sort_unstable();
        image.places.dedup();
        image
    }

    fn add_page(&mut self, at: u64, page: &[u8]) {
        match self.runs.last_mut() {
            Some((start, bytes)) if *start + bytes.len() as u64 == at => bytes.extend(page),
            _ => self.runs.push((at, page.to_vec())),
        }
        let words = (at..at + PAGE).step_by(WORD as usize);
        for at in words.filter(|&at| self.word(at) != 0).collect::<Vec<_>>() {
            self.words.push(at);
        }
    }

    pub fn word(&self, offset: u64) -> u64 {
        let run = self.runs.iter().rev().find(|(start, _)| *start <= offset);
        let bytes = run.and_then(|(start, bytes)| bytes.get((offset - start) as usize..)?.get(..8));
        bytes.map_or(0, |bytes| {
            u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
        })
    }

    /// Any place in the pages that are not all zero.
    pub fn bytes(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs
            .iter()
            .map(|(start, bytes)| (*start, bytes.len() as u64))
    }

    /// Writes what was there again, and leaves alone what was empty.
    pub fn repair(&self, file: &File) -> std::io::Result<()> {
        let mut runs = self.runs.iter();
        runs.try_for_each(|(start, bytes)| file.write_all_at(bytes, *start))
    }

    /// Makes the file what it was.
    pub fn restore(&self, file: &File) -> std::io::Result<()> {
        // Shorter first: what lies beyond is gone then.
        if file.metadata()?.len() != self.length {
            file.set_len(self.length)?;
        }
        let mut end = 0;
        for (start, bytes) in &self.runs {
            if *start > end {
                system::punch(file.as_raw_fd(), end, *start);
            }
            file.write_all_at(bytes, *start)?;
            end = start + bytes.len() as u64;
        }
        if self.length > end {
            system::punch(file.as_raw_fd(), end, self.length);
        }
        Ok(())
    }
}
