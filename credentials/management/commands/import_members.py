"""`manage.py import_members FILE`: bring a member feed in."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from credentials import feed_changes
from members.feed import Counts, FeedRefused, FeedStopped, import_feed, rejects_path

SECONDS_BETWEEN_LINES = 2.0


class Command(BaseCommand):
    """Exit code 0: every line is in. 1: some were rejected, or the file was refused."""

    help = (
        "Brings a member feed (UTF-8 CSV) in: new members are created, known ones brought up to "
        "date. Bad lines go to FILE.rejects.csv, the rest is imported. May be run again at any "
        "time: the second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)

    def handle(self, *_args: Any, file: Path, verbosity: int = 1, **_options: Any) -> None:
        self.stderr.style_func = None  # Progress is no error; CommandError is styled on its own.
        progress = Progress(self.stderr.write)
        try:
            counts = import_feed(
                file,
                progress=progress if verbosity else lambda counts: None,
                tell=feed_changes.tell,
            )
        except (FeedRefused, FeedStopped) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            self.stderr.write(_("Interrupted. Run the same file again to finish."))
            sys.exit(130)
        self.stdout.write(
            _(
                "created: %(created)d, updated: %(updated)d, unchanged: %(unchanged)d, "
                "rejected: %(rejected)d"
            )
            % vars(counts)
        )
        if counts.rejected:
            raise CommandError(
                _("Rejected lines are in %(path)s, each with its reason.")
                % {"path": rejects_path(file)}
            )


class Progress:
    """Writes a line now and then, to a terminal and to a log file alike."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self._start = self._last = time.monotonic()

    def __call__(self, counts: Counts) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES and counts.share < 1:
            return
        self._last = now
        self._write(
            _("%(percent)d%%: %(lines)d lines, %(rejected)d rejected, %(rate)d lines/s")
            % {
                "percent": 100 * counts.share,
                "lines": counts.lines,
                "rejected": counts.rejected,
                "rate": counts.lines / max(now - self._start, 0.001),
            }
        )
