//! One worker: a file for each state, mutated, used, and made whole again.

use crate::exercise::{Outcome, exercise};
use crate::image::Image;
use crate::mutation;
use crate::random::Random;
use crate::system;
use crate::tally::Tally;
use courtyard_core::folder;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a worker's exit says.
pub const DONE: i32 = 0;
pub const PANICKED: i32 = 101;

/// Which images a worker makes: every `step`th.
pub struct Share {
    pub seed: u64,
    pub next: u64,
    pub end: u64,
    pub step: u64,
    /// Whether errors are printed.
    pub tell: bool,
}

/// The file that an image is written to.
pub struct Bench {
    pub file: File,
    pub path: PathBuf,
}

impl Bench {
    pub fn new(folder: &Path, image: &Image) -> Bench {
        let path = folder::private_path(folder, image.uuid);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.mode(0o600); // one that others may read is refused
        let file = options.open(&path).expect("a file of its own");
        Bench { file, path }
    }
}

/// Which image it is, and how it is changed: a seed and a number say it all.
fn draft<'a>(
    images: &'a [Image],
    random: &mut Random,
) -> (&'a Image, usize, String, Vec<mutation::Edit>) {
    let at = random.below(images.len() as u64) as usize;
    let image = &images[at];
    let (name, edits) = mutation::choose(image, random);
    (image, at, name, edits)
}

pub fn describe(images: &[Image], seed: u64, index: u64) -> String {
    let (image, _, name, edits) = draft(images, &mut Random::new(seed, index));
    let edits = edits.len();
    format!("image {index}: {}; {name} ({edits} edits)", image.name)
}

/// Uses the files as they are: whatever is not sound here is not the mutation's doing.
pub fn rehearse(folder: &Path, images: &[Image], tell: bool) -> bool {
    images.iter().all(|image| {
        let bench = Bench::new(folder, image);
        image.restore(&bench.file).expect("the file");
        let outcome = exercise(image, &bench.path, &mut Random::new(0, 0), tell);
        std::fs::remove_file(&bench.path).expect("the file");
        if outcome != Outcome::Sound {
            println!("unchanged, {:?} is {outcome:?}", image.name);
        }
        outcome == Outcome::Sound
    })
}

/// Makes and uses images until the share is done; never returns.
pub fn run(folder: &Path, images: &[Image], share: Share, tally: Tally) -> ! {
    let seed = share.seed;
    system::tell_panics(move || format!("image {} of seed {seed}", tally.current()));
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        work(folder, images, &share, tally);
    }));
    system::leave(if code.is_ok() { DONE } else { PANICKED });
}

fn work(folder: &Path, images: &[Image], share: &Share, tally: Tally) {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut benches: Vec<Bench> = images
        .iter()
        .map(|image| Bench::new(folder, image))
        .collect();
    for index in (share.next..share.end).step_by(share.step as usize) {
        tally.begin(index);
        let random = &mut Random::new(share.seed, index);
        let (image, at, _, edits) = draft(images, random);
        let bench = &mut benches[at];
        image.restore(&bench.file).expect("the file as it was");
        mutation::apply(&edits, &bench.file).expect("the file changed");
        let outcome = exercise(image, &bench.path, random, share.tell);
        if random.one_in(64) {
            folder::clean(folder);
            if !bench.path.exists() {
                *bench = Bench::new(folder, image);
            }
            // The other files were dead spaces too.
            for (bench, image) in benches.iter_mut().zip(images) {
                if !bench.path.exists() {
                    *bench = Bench::new(folder, image);
                }
            }
        }
        tally.end(outcome);
    }
}
