#!/bin/sh
# Runs the mutator and its scribbling peer under AddressSanitizer, and the tests that start threads
# under ThreadSanitizer: tools/sanitizer.sh [small | full]
#
# The standard library is the ordinary one, not built for the sanitizers. So ThreadSanitizer doesn't
# see its fences and channels; crates/core/tests/thread.supp names what it says of them. It knows
# `fence` nowhere; but all shared memory is reached by atomics, which are no races in any order.
# Tests that fork are left out: it doesn't support a fork of a program with threads.
set -eu
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
runtime=$(rustc --print sysroot)/lib/rustlib/$host/lib
if ! ls "$runtime"/librustc-*_rt.asan.a >/dev/null 2>&1; then
    echo "courtyard: nothing was run: this rustc has no sanitizers for $host" >&2
    exit 1
fi
case "${1:-small}" in
full) images=60000 seconds=120 ;;
*) images=5000 seconds=10 ;;
esac

target=${CARGO_TARGET_DIR:-target}
export RUSTC_BOOTSTRAP=1 # the flags are not stable; the compiler is the same

# A number that is too large is to be found too: with checks of arithmetic.
checks="--config profile.release.debug-assertions=true --config profile.release.overflow-checks=true"
mutate() {
    RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" \
        cargo run --release $checks --config profile.release.lto=false \
        --target "$host" --target-dir "$target/address" -p courtyard-fuzz -- "$@"
}
mutate --images "$images" --seed 77 --workers 16
mutate --live "$seconds"

RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
    TSAN_OPTIONS="suppressions=$PWD/crates/core/tests/thread.supp" \
    cargo test --target "$host" --target-dir "$target/thread" -p courtyard-core \
    --features crash-points,faults --test thread --test object --test protocol --test space --test heap \
    -- --test-threads=1
