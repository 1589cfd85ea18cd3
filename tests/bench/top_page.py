"""How many top pages a second signed-in members get, as a share of a view that does nothing.

    python -m tests.bench.top_page [--database sqlite] [--rounds 5]

The bare view runs in the same processes, behind the same middleware; for comparison it also runs
in a second portal without any middleware. All are measured in turn, several times; medians.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

from tests.bench.installed import Installation, arguments, installed, table
from tests.bench.load import cookies_of, drive, each_once, in_turn, request
from tests.bench.statements import statements_and_commits

COUNTED = 100
BARE = {"DJANGO_SETTINGS_MODULE": "tests.bench.bare.settings"}
PAGE, SAME, NOTHING = "top page", "bare view, same middleware", "bare view, no middleware"


def top_pages(there: Installation, number: int) -> list[bytes]:
    """Sign members in; return the request of the top page of each."""
    pages = []
    for form in there.sign_ins()[:number]:
        cookies = cookies_of(there.signed_in(form))
        pages.append(request("GET", "/", cookies="; ".join(map("=".join, cookies.items()))))
    return pages


def main() -> None:
    parser = arguments("Top pages a second, as a share of a bare view.")
    options = parser.parse_args()
    with installed(options, same=BARE, nothing=BARE | {"BARE": "no middleware"}) as there:
        pages = top_pages(there, min(options.members, 20))
        # Without a session: with one, the middleware looks up whose it is.
        bare = request("GET", "/bare/")
        same, nothing = there.portals["same"].port, there.portals["nothing"].port
        targets: dict[str, tuple[int, Callable[[], bytes]]] = {
            PAGE: (same, in_turn(pages)),
            SAME: (same, in_turn([bare])),
            NOTHING: (nothing, in_turn([bare])),
        }
        rates: dict[str, list[float]] = {name: [] for name in targets}
        costs: dict[str, list[float]] = {name: [] for name in targets}
        for i in range(options.rounds + 1):
            for name, (port, source) in targets.items():
                used = there.processor_seconds()
                load = drive(
                    port,
                    source,
                    connections=options.connections,
                    # The first round only warms up.
                    seconds=options.seconds if i else 1,
                )
                used = there.processor_seconds() - used
                if set(load.statuses) != {200}:
                    raise SystemExit(f"{name}: {dict(load.statuses)}")
                if i:
                    rates[name].append(load.per_second)
                    costs[name].append(used / len(load.times))
        rows = []
        for name in targets:
            rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
            rows += [
                (f"{name}, {options.database}", f"{rate:.0f}/s"),
                ("  processor time, all processes", f"{cost * 1000:.2f} ms"),
            ]
        for name in (SAME, NOTHING):
            by_clock = statistics.median(rates[PAGE]) / statistics.median(rates[name])
            by_time = statistics.median(costs[name]) / statistics.median(costs[PAGE])
            rows += [
                (f"ratio to {name}", f"{by_clock:.2f}"),
                ("  by processor time", f"{by_time:.2f}"),
            ]
        if options.database == "postgresql":
            port = there.portals["same"].port

            def count() -> None:
                drive(port, each_once((pages * COUNTED)[:COUNTED]), connections=2)

            statements, commits = statements_and_commits(there.portal.database, count)
            rows += [
                ("statements a page", f"{statements / COUNTED:.2f}"),
                ("commits a page", f"{commits / COUNTED:.2f}"),
            ]
    rows.append(("load average of this machine", f"{os.getloadavg()[0]:.1f}"))
    table(rows)


if __name__ == "__main__":
    main()
