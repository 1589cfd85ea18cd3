"""How much memory 64 sign-ins at once take, over all processes of gunicorn.

    python -m tests.bench.memory [--database sqlite] [--at-once 64]

PSS (shared pages divided among those who share them), added up, and RSS for comparison; both are
sampled while the sign-ins run. Every sign-in must be answered with 302.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from tests.bench.installed import arguments, installed, table
from tests.bench.load import drive, each_once
from tests.server.processes import tree_of

_FIGURE = re.compile(r"^(Rss|Pss):\s+(\d+) kB", re.MULTILINE)


def memory_of(pid: int) -> dict[str, float]:
    """Return PSS and RSS of a process and its children, in MiB."""
    total = {"Pss": 0.0, "Rss": 0.0}
    for one in tree_of(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        for name, kib in _FIGURE.findall(text):
            total[name] += int(kib) / 1024
    return total


class Sampler(threading.Thread):
    """Keeps the highest figures until it is stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self.peak = memory_of(pid)
        self.samples = 0
        self._pid = pid
        self._stop_now = threading.Event()

    def run(self) -> None:
        while not self._stop_now.is_set():
            for name, figure in memory_of(self._pid).items():
                self.peak[name] = max(self.peak[name], figure)
            self.samples += 1
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop, and wait for it."""
        self._stop_now.set()
        self.join()


def main() -> None:
    parser = arguments("Memory of many sign-ins at once.")
    parser.add_argument("--at-once", type=int, default=64)
    options = parser.parse_args()
    options.members = max(options.members, options.at_once)
    rows: list[tuple[str, str]] = []
    with installed(options) as there:
        pid = there.portal.gunicorn.pid
        idle = memory_of(pid)
        rows.append(("idle: PSS, RSS", f"{idle['Pss']:.0f}, {idle['Rss']:.0f} MiB"))
        forms = there.sign_ins()[: options.at_once]
        for i in range(options.rounds):
            sampler = Sampler(pid)
            sampler.start()
            load = drive(there.portal.port, each_once(forms), connections=options.at_once)
            sampler.stop()
            peak = sampler.peak
            rows.append(
                (
                    f"{options.at_once} at once, round {i + 1}: PSS, RSS",
                    f"{peak['Pss']:.0f}, {peak['Rss']:.0f} MiB",
                )
            )
            rows.append(
                (
                    f"  answers ({sampler.samples} samples)",
                    ", ".join(f"{n} x {status}" for status, n in load.statuses.items()),
                )
            )
    table(rows)


if __name__ == "__main__":
    main()
