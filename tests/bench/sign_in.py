"""How many sign-ins a second there are, as a share of bare Argon2id verifications.

    python -m tests.bench.sign_in [--database sqlite] [--counters file] [--rounds 5]

Bare: `verify` in two processes and nothing else. Both are measured in turn, several times, and
the medians are compared; generator, database and counters run on the same cores. Where others
use the machine too, the processor time says more than the clock: that of everybody who has a part
in a sign-in, generator included, against that of a verification.
"""

from __future__ import annotations

import os
import statistics
import time
from multiprocessing import get_context

from argon2 import PasswordHasher, Type
from argon2.low_level import verify_secret

from tests.bench.installed import arguments, installed, table
from tests.bench.load import drive, each_once, in_turn
from tests.bench.statements import statements_and_commits

COUNTED = 100
PROCESSES = 2


def verify_for(seconds: float) -> tuple[float, float]:
    """Return how many verifications a second this process does, and the processor time of one."""
    encoded = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash("2580")
    done, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        verify_secret(encoded.encode(), b"2580", Type.ID)
        done += 1
    used = time.process_time() - used
    return done / (time.perf_counter() - began), used / done


def main() -> None:
    options = arguments("Sign-ins a second, as a share of bare Argon2id.").parse_args()
    rates: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    times: list[float] = []
    with installed(options) as there, get_context("spawn").Pool(PROCESSES) as pool:
        known, port = there.sign_ins(), there.portal.port
        forms = in_turn(known)
        drive(port, forms, connections=options.connections, seconds=2)
        for _round in range(options.rounds):
            each = pool.map(verify_for, [options.seconds] * PROCESSES, chunksize=1)
            used = there.processor_seconds()
            load = drive(port, forms, connections=options.connections, seconds=options.seconds)
            used = there.processor_seconds() - used
            if set(load.statuses) != {302}:
                raise SystemExit(f"not everyone was signed in: {dict(load.statuses)}")
            rates.append((load.per_second, sum(rate for rate, _cost in each)))
            costs.append((used / len(load.times), statistics.mean(cost for _rate, cost in each)))
            times += load.times
        if options.database == "postgresql":

            def count() -> None:
                drive(port, each_once(known[:COUNTED]), connections=2)

            statements, commits = statements_and_commits(there.portal.database, count)
    ours, bare = (statistics.median(one) for one in zip(*rates, strict=True))
    cost, bare_cost = (statistics.median(one) for one in zip(*costs, strict=True))
    rows = [
        (f"bare Argon2id, {PROCESSES} processes", f"{bare:.1f}/s"),
        (f"sign-ins, {options.database}, counters: {options.counters}", f"{ours:.1f}/s"),
        ("ratio", f"{ours / bare:.2f}"),
        ("  round by round", " ".join(f"{our / raw:.2f}" for our, raw in rates)),
        ("processor time, bare", f"{bare_cost * 1000:.2f} ms"),
        ("processor time, sign-in, all processes", f"{cost * 1000:.2f} ms"),
        ("ratio by processor time", f"{bare_cost / cost:.2f}"),
        ("  round by round", " ".join(f"{raw / our:.2f}" for our, raw in costs)),
        ("median answer", f"{statistics.median(times) * 1000:.0f} ms"),
    ]
    if options.database == "postgresql":
        rows += [
            ("statements a sign-in", f"{statements / COUNTED:.2f}"),
            ("commits a sign-in", f"{commits / COUNTED:.2f}"),
        ]
    rows.append(("load average of this machine", f"{os.getloadavg()[0]:.1f}"))
    table(rows)


if __name__ == "__main__":
    main()
