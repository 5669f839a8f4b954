//! A peer that scribbles: processes work in a space while another writes over its pages.

use crate::exercise::session;
use crate::image::Image;
use crate::mutation::{self, Edit};
use crate::random::Random;
use crate::state;
use crate::system::{self, End};
use crate::tally::Tally;
use crate::worker::{Bench, DONE, PANICKED};
use crate::{LIMIT, report};
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, folder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// A round begins with a space that is whole.
const ROUND: Duration = Duration::from_millis(500);
const WORKERS: u64 = 2;

pub fn run(home: &Path, seed: u64, seconds: u64) -> u64 {
    let images = state::all(home);
    let end = Instant::now() + Duration::from_secs(seconds);
    let tallies: Vec<Tally> = (0..WORKERS).map(|_| Tally::new()).collect();
    let mut failures = crate::Failures::default();
    for round in 0.. {
        if Instant::now() > end {
            break;
        }
        let image = &images[(round % images.len() as u64) as usize];
        let bench = Bench::new(home, image);
        image.restore(&bench.file).expect("the file");
        let scribbler = system::fork().unwrap_or_else(|| scribble(image, &bench, seed, round));
        let stop = Tally::new();
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let random = Random::new(seed, round * WORKERS + worker);
                let tally = tallies[worker as usize];
                system::fork().unwrap_or_else(|| work(image, &bench, random, tally, stop))
            })
            .collect();
        system::pause(ROUND.as_millis() as i32);
        stop.begin(1);
        for (pid, tally) in workers.into_iter().zip(&tallies) {
            let what = match wait(pid, tally) {
                End::Exited(DONE) => continue,
                End::Running => {
                    system::kill(pid);
                    failures.hangs += 1;
                    "hung".to_string()
                }
                End::Exited(PANICKED) => {
                    failures.panics += 1;
                    "panicked".to_string()
                }
                end => {
                    failures.crashes += 1;
                    format!("crashed: {end:?}")
                }
            };
            println!("{what}: round {round} of seed {seed}, {}", image.name);
        }
        system::kill(scribbler);
        std::fs::remove_file(&bench.path).expect("the file");
    }
    report("sessions beside a scribbler", &tallies, &failures)
}

/// How a worker ended; it is running if its session takes too long.
fn wait(pid: libc::pid_t, tally: &Tally) -> End {
    loop {
        match system::look(pid) {
            End::Running if tally.milliseconds() > LIMIT => return End::Running,
            End::Running => system::pause(5),
            end => return end,
        }
    }
}

fn scribble(image: &Image, bench: &Bench, seed: u64, round: u64) -> ! {
    // Without pause or repair all is noise at once, and no operation gets far.
    let random = &mut Random::new(!seed, round);
    let (repair, pause) = (1 + random.below(20), random.below(4));
    for turn in 0.. {
        let (_, edits) = mutation::choose(image, random);
        // A file cut short under a mapping is SIGBUS for whoever touches it; nothing helps.
        let edits: Vec<Edit> = edits
            .into_iter()
            .filter(|edit| !matches!(edit, Edit::Length(_)))
            .collect();
        mutation::apply(&edits, &bench.file).expect("to scribble");
        if turn % repair == 0 {
            image.repair(&bench.file).expect("to repair");
            system::pause(pause as i32);
        }
    }
    unreachable!("it is killed")
}

/// Works in the space until it is told to stop: now and then as a newcomer.
fn work(image: &Image, bench: &Bench, mut random: Random, tally: Tally, stop: Tally) -> ! {
    system::tell_panics(|| "beside a scribbler".to_string());
    let code = catch_unwind(AssertUnwindSafe(|| {
        while stop.current() == 0 {
            tally.begin(tally.done());
            match folder::attach(&bench.path, image.uuid, HOOKS) {
                Ok(space) => {
                    sessions(image, &space, &mut random, tally, stop);
                    space.discard();
                }
                Err(error) => tally.end((&error).into()),
            }
        }
    }));
    system::leave(if code.is_ok() { DONE } else { PANICKED });
}

fn sessions(image: &Image, space: &Space, random: &mut Random, tally: Tally, stop: Tally) {
    let mut known = image.known.clone();
    for _ in 0..20 {
        if stop.current() != 0 {
            return;
        }
        tally.begin(tally.done());
        let outcome = session(space, &mut known, (false, false), random);
        tally.end(outcome.unwrap_or_else(|error| (&error).into()));
    }
}
