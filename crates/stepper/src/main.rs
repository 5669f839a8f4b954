//! Kills the engine at every instruction of every operation, recovers each distinct image that
//! is left, kills the recovery in the same way, and looks whether all is as before or as after.
//!
//! The operation itself is stepped by ptrace. A recovery is stepped too, once for each operation,
//! and for up to 64 images of it followed store by store, to which all its images belong.
//! `--seconds` bounds the recoveries; the operations take some minutes in any case. `--full` has no
//! bound. Kills within a system call are not made here: the kernel writes no shared word.
//!
//! `stepper [--seconds N | --full] [--operation NAME] [--bug NAME] [--list] [--keep]`

mod control;
mod entry;
mod image;
mod operations;
mod run;
mod stage;
mod store;
mod system;
mod tracee;

use courtyard_core::seed::{self, Bug};
use run::{Bench, Report};
use std::process::ExitCode;

const USAGE: &str =
    "stepper [--seconds N | --full] [--operation NAME] [--bug NAME] [--list] [--keep]";
const SECONDS: u64 = 60;
/// Violations that an operation may have; a seeded bug is caught by the first.
const TOLD: usize = 10;

#[derive(Default)]
struct Wish {
    full: bool,
    seconds: Option<u64>,
    operations: Vec<String>,
    bug: Option<Bug>,
    list: bool,
    keep: bool,
}

fn wish() -> Option<Wish> {
    let mut wish = Wish::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--full" => wish.full = true,
            "--seconds" => wish.seconds = Some(arguments.next()?.parse().ok()?),
            "--operation" => wish.operations.push(arguments.next()?),
            "--bug" => wish.bug = Some(Bug::find(&arguments.next()?)?),
            "--list" => wish.list = true,
            "--keep" => wish.keep = true,
            _ => return None,
        }
    }
    Some(wish)
}

fn main() -> ExitCode {
    let Some(wish) = wish() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut entries = operations::all();
    if !wish.operations.is_empty() {
        // A whole name, or else whatever contains it.
        let whole = |name: &str| wish.operations.iter().any(|wished| wished == name);
        let part = |name: &str| wish.operations.iter().any(|wished| name.contains(wished));
        if entries.iter().any(|entry| whole(&entry.name)) {
            entries.retain(|entry| whole(&entry.name));
        } else {
            entries.retain(|entry| part(&entry.name));
        }
    }
    if wish.list {
        entries.iter().for_each(|entry| println!("{}", entry.name));
        return ExitCode::SUCCESS;
    }
    if entries.is_empty() {
        eprintln!("no such operation; see --list");
        return ExitCode::from(2);
    }
    let seeded = wish.bug.map(seed::seed);
    if matches!(seeded, Some(None)) {
        eprintln!("no bug can be seeded in this build: add --features courtyard-core/seeded-bugs");
        return ExitCode::from(2);
    }
    system::pin(system::core());
    let stamp = courtyard_core::os::boot_clock().as_nanos();
    let name = format!("courtyard-stepper-{}-{stamp}", std::process::id());
    let told = if wish.bug.is_some() { 1 } else { TOLD };
    let bench = Bench::new(std::path::Path::new("/dev/shm").join(name), wish.keep, told);
    let until = (!wish.full).then(|| run::seconds(wish.seconds.unwrap_or(SECONDS)));
    let mut total = Report::default();
    heading();
    for (at, entry) in entries.iter().enumerate() {
        let report = run::run(&bench, entry, run::share(until, entries.len() - at));
        line(&report);
        for text in &report.told {
            println!("    {}", text.replace('\n', " "));
        }
        total.add(&report);
    }
    total.name = format!("{} operations", entries.len());
    line(&total);
    ExitCode::from(u8::from(total.violations > 0))
}

fn heading() {
    println!(
        "{:<50} {:>11} {:>8} {:>10} {:>15} {:>15} {:>15} {:>10}",
        "operation",
        "kill points",
        "images",
        "recoveries",
        "recovery points",
        "recovery stores",
        "recovery images",
        "violations"
    );
}

fn line(report: &Report) {
    println!(
        "{:<50} {:>11} {:>8} {:>10} {:>15} {:>15} {:>15} {:>10}",
        report.name,
        report.kill_points,
        report.images,
        report.recoveries,
        report.recovery_points,
        report.recovery_stores,
        report.recovery_images,
        report.violations
    );
}
