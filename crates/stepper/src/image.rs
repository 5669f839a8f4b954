//! What a kill leaves: the bytes of a space's file, and under which names it is found.

use crate::system;
use courtyard_core::layout::{self, PAGE, UNIT, bits, slot};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::rc::Rc;

pub type Page = [u8; PAGE as usize];
/// Distinguishes images within one run.
pub type Print = u128;

/// Where a space is, or will be.
#[derive(Clone, Debug)]
pub struct Place {
    pub folder: PathBuf,
    pub path: PathBuf,
    pub uuid: u128,
}

/// The file's bytes at one moment; pages that are all zero are left out.
#[derive(Clone, Default)]
pub struct Image {
    pub length: u64,
    pub names: Vec<String>,
    pub pages: BTreeMap<u64, Rc<Page>>,
    /// The exclusive or of the prints of its pages.
    print: u128,
}

fn mix(seed: u64, words: impl Iterator<Item = u64>) -> u64 {
    words.fold(seed, |hash, word| {
        let mixed = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 29
    })
}

/// The print of a page; 0 for one that is all zero. Process id, boot and starting time of a slot
/// are left out: they differ from run to run, and nothing depends on them.
fn print_of(number: u64, page: &Page) -> u128 {
    let words = || {
        let (chunks, _) = page.as_chunks::<8>();
        chunks.iter().map(|chunk| u64::from_ne_bytes(*chunk))
    };
    if words().all(|word| word == 0) {
        return 0;
    }
    let offset = number * PAGE;
    let head = (layout::SLOT_RECORDS..layout::BITMAPS).contains(&offset)
        && (offset - layout::SLOT_RECORDS).is_multiple_of(slot::STRIDE);
    let skipped = if head { 4 } else { 0 };
    let (low, high) = (
        mix(number, words().skip(skipped)),
        mix(
            !number,
            words().skip(skipped).map(|word| word.rotate_left(17)),
        ),
    );
    u128::from(low) << 64 | u128::from(high)
}

impl Image {
    pub fn print(&self) -> Print {
        let names = self.names.iter().flat_map(|name| name.bytes());
        let names = mix(self.length, names.map(u64::from));
        self.print ^ u128::from(names)
    }

    fn set(&mut self, number: u64, page: &Page) {
        let old = self.pages.get(&number);
        let old = old.map_or(0, |page| print_of(number, page));
        let new = print_of(number, page);
        self.print ^= old ^ new;
        if page.iter().all(|&byte| byte == 0) {
            self.pages.remove(&number);
        } else {
            self.pages.insert(number, Rc::new(*page));
        }
    }

    /// Reads a file, but for its holes.
    pub fn read(file: &File, names: Vec<String>) -> std::io::Result<Image> {
        let mut image = Image {
            length: file.metadata()?.len(),
            names,
            ..Image::default()
        };
        for (start, end) in system::extents(file.as_raw_fd(), image.length) {
            for number in start / PAGE..end.div_ceil(PAGE) {
                let mut page = [0; PAGE as usize];
                file.read_exact_at(&mut page, number * PAGE)?;
                image.set(number, &page);
            }
        }
        Ok(image)
    }

    /// Writes the image as a file of `folder`, under all its names.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let Some(first) = self.names.first() else {
            return Ok(());
        };
        let path = folder.join(first);
        let mut options = std::fs::OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.set_len(self.length)?;
        for (&number, page) in &self.pages {
            file.write_all_at(&page[..], number * PAGE)?;
        }
        for name in &self.names[1..] {
            std::fs::hard_link(&path, folder.join(name))?;
        }
        Ok(())
    }
}

/// Which pages may change during a run.
#[derive(Clone)]
pub enum Hot {
    /// These: a run before has written them and no others.
    Only(Vec<u64>),
    /// Any that an operation may reach: of the header, the first slots, the bitmaps, the heap.
    Wide { slots: u64 },
}

struct Mapped {
    file: File,
    base: NonNull<u8>,
    window: usize,
}

/// Pages beyond the end of the file that growth may add.
const ROOM: u64 = 256 << 20;

/// A space's file while somebody changes it, and what was last seen of it.
pub struct Watch {
    place: Place,
    hot: Hot,
    pages: Vec<u64>,
    mapped: Option<Mapped>,
    pub image: Image,
    /// Whether the file may come and go during the run.
    fleeting: bool,
}

impl Watch {
    pub fn new(place: &Place, hot: Hot, fleeting: bool) -> Watch {
        Watch {
            place: place.clone(),
            hot,
            pages: Vec::new(),
            mapped: None,
            image: Image::default(),
            fleeting,
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.place.folder);
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn close(&mut self) {
        if let Some(mapped) = self.mapped.take() {
            // SAFETY: reached through `mapped` alone.
            unsafe { system::unmap(mapped.base, mapped.window) };
        }
    }

    /// Reads the whole, when the run begins or a file appears.
    pub fn begin(&mut self) {
        self.close();
        let names = self.names();
        let Some(first) = names.first() else {
            self.image = Image::default();
            return;
        };
        let Ok(file) = File::open(self.place.folder.join(first)) else {
            self.image = Image::default();
            return; // gone again: the next look says so
        };
        self.image = Image::read(&file, names).expect("a readable file");
        let window = (self.image.length + ROOM) as usize;
        let base = system::map(window, Some(file.as_raw_fd()), false);
        self.mapped = Some(Mapped { file, base, window });
        self.choose_pages();
    }

    fn choose_pages(&mut self) {
        self.pages = match &self.hot {
            Hot::Only(pages) => pages.clone(),
            Hot::Wide { slots } => {
                let header = 0..layout::slot_record(*slots) / PAGE;
                let bitmaps = layout::BITMAPS / PAGE;
                let max = self.word(layout::superblock::MAX_SIZE);
                let data = layout::data_start(max) / PAGE;
                let heap = data..self.image.length / PAGE;
                header.chain(bitmaps..bitmaps + 1).chain(heap).collect()
            }
        };
    }

    fn word(&self, offset: u64) -> u64 {
        let page = self.image.pages.get(&(offset / PAGE));
        let at = (offset % PAGE) as usize;
        page.map_or(0, |page| {
            u64::from_ne_bytes(page[at..at + 8].try_into().expect("eight bytes"))
        })
    }

    /// Looks again; true if anything changed. The process that changes it is stopped.
    pub fn look(&mut self) -> bool {
        let mut changed = false;
        if self.fleeting {
            let names = self.names();
            if names != self.image.names {
                self.begin();
                changed = true;
            }
        }
        let Some(mapped) = &self.mapped else {
            return changed;
        };
        let length = mapped.file.metadata().map_or(0, |data| data.len());
        if length != self.image.length {
            self.image.length = length;
            self.choose_pages();
            changed = true;
        }
        const ZERO: Page = [0; PAGE as usize];
        for at in 0..self.pages.len() {
            let number = self.pages[at];
            if number * PAGE >= length {
                continue;
            }
            let Some(mapped) = &self.mapped else { break };
            // SAFETY: below the end of the file, inside the window.
            let page = unsafe { mapped.base.add((number * PAGE) as usize) };
            // SAFETY: mapped, and nobody writes it: the other process is stopped.
            let page: &Page = unsafe { page.cast().as_ref() };
            let seen = self.image.pages.get(&number).map_or(&ZERO, |page| &**page);
            if page != seen {
                let page = *page;
                self.image.set(number, &page);
                changed = true;
            }
        }
        changed
    }

    /// As `look`, where it is known which pages may have changed.
    pub fn look_at(&mut self, pages: &[u64]) -> bool {
        self.hot = Hot::Only(pages.to_vec());
        self.choose_pages();
        self.look()
    }

    /// Whether a page is given back: it becomes zeros without a store, and nobody reads it.
    fn is_hole(&self, number: u64) -> bool {
        let data = layout::data_start(self.word(layout::superblock::MAX_SIZE));
        let Some(unit) = (number * PAGE).checked_sub(data).map(|at| at / UNIT) else {
            return false;
        };
        self.word(layout::bitmaps(unit) + bits::GIVEN) >> (unit % 64) & 1 != 0
    }

    /// Pages that changed although none of them was watched: the harness is wrong then.
    pub fn missed(&self) -> Vec<u64> {
        let Some(mapped) = &self.mapped else {
            return Vec::new();
        };
        let now = Image::read(&mapped.file, Vec::new()).expect("a readable file");
        let numbers = now.pages.keys().chain(self.image.pages.keys());
        let mut missed: Vec<u64> = numbers
            .filter(|&number| now.pages.get(number) != self.image.pages.get(number))
            .filter(|&&number| !self.is_hole(number))
            .copied()
            .collect();
        missed.dedup();
        missed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.close();
    }
}
