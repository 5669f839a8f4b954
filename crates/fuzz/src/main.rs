//! Mutates valid segment files and uses them; scribbles over spaces in use. Nothing may crash,
//! hang or panic: only errors and wrong values come of it.
//!
//! `mutate [--images N] [--seed S] [--workers W] [--only IMAGE] [--live SECONDS]`
//!
//! An image is decided by the seed and its number: `--only` makes one again.

mod exercise;
mod image;
mod link;
mod list;
mod live;
mod mutation;
mod name;
mod primitive;
mod random;
mod state;
mod structure;
mod system;
mod table;
mod tally;
mod worker;

use exercise::OUTCOMES;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use system::End;
use tally::Tally;
use worker::Share;

const USAGE: &str = "mutate [--images N] [--seed S] [--workers W] [--only IMAGE] [--live SECONDS]";
const IMAGES: u64 = 10_000;
/// An image that takes longer hangs. Waits for the living are bounded, but not short: destructors
/// try for five seconds.
const LIMIT: u64 = 60_000;
/// Images between two signs of life.
const PROGRESS: u64 = 100_000;
/// Failures that are told; the rest is counted.
const TOLD: u64 = 50;

struct Wish {
    images: u64,
    seed: u64,
    workers: u64,
    only: Option<u64>,
    live: u64,
}

fn wish() -> Option<Wish> {
    let mut wish = Wish {
        images: IMAGES,
        seed: 1,
        workers: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        only: None,
        live: 0,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next()?.parse().ok()?;
        match argument.as_str() {
            "--images" => wish.images = number,
            "--seed" => wish.seed = number,
            "--workers" => wish.workers = number,
            "--only" => wish.only = Some(number),
            "--live" => wish.live = number,
            _ => return None,
        }
    }
    (wish.workers > 0).then_some(wish)
}

/// A folder in memory, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        use std::os::unix::fs::DirBuilderExt;
        let stamp = courtyard_core::os::boot_clock().as_nanos();
        let name = format!("courtyard-mutate-{}-{stamp}", std::process::id());
        let path = Path::new("/dev/shm").join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.expect("a folder in /dev/shm");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn main() -> ExitCode {
    let Some(wish) = wish() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let folder = Folder::new();
    let failures = if wish.live > 0 {
        live::run(&folder.0, wish.seed, wish.live)
    } else {
        mutate(&folder.0, &wish)
    };
    ExitCode::from(u8::from(failures > 0))
}

struct Worker {
    pid: libc::pid_t,
    tally: Tally,
    end: u64,
}

#[derive(Default)]
struct Failures {
    crashes: u64,
    hangs: u64,
    panics: u64,
}

fn mutate(folder: &Path, wish: &Wish) -> u64 {
    let images = state::all(folder);
    if !worker::rehearse(folder, &images, wish.only.is_some()) {
        return 1;
    }
    let (first, end, step) = match wish.only {
        Some(only) => (only, only + 1, 1),
        None => (0, wish.images, wish.workers),
    };
    if wish.only.is_some() {
        println!("{}", worker::describe(&images, wish.seed, first));
    }
    let start = |number: u64, next: u64, tally: Tally| -> libc::pid_t {
        let folder = folder.join(number.to_string());
        let share = Share {
            seed: wish.seed,
            next,
            end,
            step,
            tell: wish.only.is_some(),
        };
        system::fork().unwrap_or_else(|| worker::run(&folder, &images, share, tally))
    };
    let mut failures = Failures::default();
    let mut workers: Vec<Option<Worker>> = (0..step)
        .map(|number| {
            let tally = Tally::new();
            let pid = start(number, first + number, tally);
            Some(Worker { pid, tally, end })
        })
        .collect();
    let mut tallies = Vec::new();
    let mut told = 0;
    while workers.iter().any(Option::is_some) {
        system::pause(20);
        let working = workers.iter().flatten().map(|worker| worker.tally);
        let done: u64 = working
            .chain(tallies.iter().copied())
            .map(|tally: Tally| tally.done())
            .sum();
        if done >= told + PROGRESS {
            told = done - done % PROGRESS;
            println!("{told} done");
        }
        for (slot, number) in workers.iter_mut().zip(0..) {
            let Some(worker) = slot else { continue };
            let Some(failed) = look(worker, &mut failures) else {
                continue;
            };
            if failed {
                let index = worker.tally.current();
                if failures.crashes + failures.hangs + failures.panics <= TOLD {
                    println!("    {}", worker::describe(&images, wish.seed, index));
                }
                if index + step < worker.end {
                    worker.tally.begin(index + step);
                    worker.pid = start(number, index + step, worker.tally);
                    continue;
                }
            }
            tallies.push(worker.tally);
            *slot = None;
        }
    }
    report("images", &tallies, &failures)
}

/// Looks after a worker: None if it works; else whether an image was its end.
fn look(worker: &Worker, failures: &mut Failures) -> Option<bool> {
    let what = match system::look(worker.pid) {
        End::Running if worker.tally.milliseconds() > LIMIT => {
            system::kill(worker.pid);
            failures.hangs += 1;
            "hung".to_string()
        }
        End::Running => return None,
        End::Exited(worker::DONE) => return Some(false),
        End::Exited(worker::PANICKED) => {
            failures.panics += 1;
            "panicked".to_string()
        }
        end => {
            failures.crashes += 1;
            format!("crashed: {end:?}")
        }
    };
    println!("{what}");
    Some(true)
}

fn report(what: &str, tallies: &[Tally], failures: &Failures) -> u64 {
    let total = |figure: &dyn Fn(&Tally) -> u64| tallies.iter().map(figure).sum::<u64>();
    let done = total(&Tally::done);
    let failed = failures.crashes + failures.hangs + failures.panics;
    println!("\n{} {what}", done + failed);
    for (place, (_, name)) in OUTCOMES.iter().enumerate() {
        println!("{name:<20} {:>10}", total(&|tally| tally.outcomes()[place]));
    }
    let longest = tallies.iter().map(Tally::longest).max().unwrap_or(0);
    println!("{:<20} {longest:>7} ms", "longest");
    println!(
        "{} crashes, {} hangs, {} panics",
        failures.crashes, failures.hangs, failures.panics
    );
    failed
}
