//! The short form: some thousand mutated files, and a few seconds beside a peer that scribbles.

use std::process::Command;

fn mutate(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mutate"))
        .args(arguments)
        .output()
        .expect("the mutator runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text + &errors)
}

/// How many images came out so.
fn figure(text: &str, outcome: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(outcome));
    let figure = line.and_then(|line| line.split_whitespace().last());
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

#[test]
fn mutated_files() {
    let (sound, text) = mutate(&["--images", "2000", "--workers", "2"]);
    println!("{text}");
    assert!(sound, "{text}");
    assert!(text.contains("\n2000 images\n"), "{text}");
    // Each sort of end is met, or the mutations miss what they aim at.
    for outcome in ["ok", "wrong value", "LayoutMismatch", "CorruptError"] {
        assert!(figure(&text, outcome) > 30, "{outcome}: {text}");
    }
}

#[test]
fn a_peer_that_scribbles() {
    let (sound, text) = mutate(&["--live", "3"]);
    println!("{text}");
    assert!(sound, "{text}");
    assert!(figure(&text, "CorruptError") > 30, "{text}");
    assert!(figure(&text, "ok") > 0, "nothing was got at all: {text}");
}

#[test]
fn what_is_not_understood_is_refused() {
    assert!(!mutate(&["--quick", "1"]).0);
    assert!(!mutate(&["--images", "many"]).0);
    assert!(!mutate(&["--workers", "0"]).0);
}
