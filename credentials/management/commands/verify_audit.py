"""`manage.py verify_audit`: is the record as it was written?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.record import check, sealing
from credentials.record.check import Broken, Walked

SECONDS_BETWEEN_LINES = 2.0


class Command(BaseCommand):
    """Exit code 0: the record is whole. 1: the message names the first row that is broken."""

    help = (
        "Seals what waits, then walks the chain of the record and names the first row that was "
        "changed, deleted or moved. With --copy it also compares each row with the copy kept "
        "elsewhere, which alone shows a chain that was made anew or cut off at its end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--copy", metavar="FILE", type=Path, help="the copy kept elsewhere (RECORD_COPY)"
        )
        parser.add_argument(
            "--from",
            dest="since",
            metavar="POSITION",
            type=int,
            default=1,
            help="begin here, and take what stands before for whole",
        )

    def handle(self, *args: Any, copy: Path | None, since: int, **options: Any) -> None:
        self._shown = time.monotonic()
        try:
            for _sealed in sealing.seal_all():
                pass
        except (sealing.OutOfStep, OSError) as error:
            self.stderr.write(f"Not sealed first: {error}.")
        walked = Walked(max(since, 1) - 1, 0, 0)
        try:
            for step in check.check(since=max(since, 1), copy=copy):
                if isinstance(step, Broken):
                    raise CommandError(f"BROKEN at {step}.")
                walked = step
                self._progress(walked)
        except OSError as error:
            raise CommandError(f"The copy cannot be read: {error}.") from None
        unsealed = sealing.waiting().count()
        answer = f"The record is whole: positions {max(since, 1)} to {walked.position}"
        answer += f", {unsealed} not sealed yet" if unsealed else ""
        if copy:
            answer += f"; the copy agrees up to position {walked.copied}"
        self.stdout.write(f"{answer}.")

    def _progress(self, walked: Walked) -> None:
        now = time.monotonic()
        if self.stderr.isatty() and now - self._shown > SECONDS_BETWEEN_LINES:
            self._shown = now
            self.stderr.write(f"position {walked.position} of {walked.of}")
