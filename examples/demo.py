"""The wait_for example under each start method, with the time that each wake-up took."""

import multiprocessing
from ctypes import c_char
from time import monotonic_ns, sleep

from courtyard import Value


def check(shared, woken_at):
    shared.wait_for(b"my_data")
    woken_at.value = monotonic_ns()


def change(shared, set_at):
    sleep(1)  # the other process has long been asleep by then
    before = monotonic_ns()
    shared.value = b"my_data"
    set_at.value = before


def run(method):
    context = multiprocessing.get_context(method)
    shared, set_at, woken_at = Value(c_char * 10), Value("q"), Value("q")
    processes = [
        context.Process(target=check, args=(shared, woken_at)),
        context.Process(target=change, args=(shared, set_at)),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(f"{method}: a process failed")
    microseconds = (woken_at.value - set_at.value) / 1000
    print(
        f"{method:<10}  process 1 got {shared.value} from process 2,",
        f"woken {microseconds:,.0f} µs after the set",
    )


if __name__ == "__main__":
    print("Process 1 sleeps in wait_for(b'my_data'); a second later process 2 sets the value.")
    for method in ("fork", "spawn", "forkserver"):
        run(method)
