"""`manage.py after_restore`: to be run once a backup was restored, before the portal is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.record import copy as record_copy
from credentials.record import restore
from credentials.record.restore import Restored
from credentials.refusals import Refusal

ENDED = {
    "sessions": "sessions",
    "codes": "registration codes",
    "tickets": "PIN tickets and prepared re-sets",
    "hand_off_codes": "hand-off codes",
    "verifications": "identity verifications",
}
APPLIED = {
    "suspensions": "suspensions in force again",
    "failures": "failures counted again",
    "disowned": "members who disowned a sign-in: their devices are known no more",
    "closures": "memberships closed again",
    "pins": "PINs that were re-set or stopped, taken away: to be set in person",
    "failed_checks": "failed verifications counted again",
    "api_keys": "API keys revoked again",
    "staff_closed": "staff accounts closed again",
    "second_factors": "second factors taken away again",
}
LOST = """
NOTHING THAT HAPPENED SINCE THE BACKUP COULD BE APPLIED AGAIN: no copy of the record was given.
In force as the backup has it, and no longer as it was:
  suspensions and counted failures; closures of memberships
  PINs re-set or stopped since: THE OLD PIN SIGNS IN AND DRAWS CASH AGAIN
  Web-IDs registered since are gone
  API keys revoked since are valid again
  staff closed since, passwords and second factors re-set since, are as before
The record ends with the backup. Move the old copy aside, so that a new one begins.
"""


class Command(BaseCommand):
    """Exit code 1: nothing was done, or there was no copy and nobody said that this is meant."""

    help = (
        "After a backup was restored, before the portal is opened: ends all sessions, codes and "
        "tickets, puts the events back that the backup lacks, and applies again what protects."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--copy", metavar="FILE", type=Path, help="the record's copy (default: RECORD_COPY)"
        )
        parser.add_argument(
            "--without-copy",
            action="store_true",
            help="there is none: exit 0, although what happened since the backup is lost",
        )

    def handle(self, *args: Any, copy: Path | None, without_copy: bool, **options: Any) -> None:
        copy = None if without_copy else copy or record_copy.kept_at()
        try:
            restored = restore.after_restore(copy=copy)
        except OSError as error:
            raise CommandError(f"Nothing was done. The copy cannot be read: {error}.") from None
        if isinstance(restored, Refusal):
            raise CommandError(f"Nothing was done. {restored.reason}")
        self._say(restored)
        if copy is None:
            self.stdout.write(LOST)
            if not without_copy:
                raise CommandError(
                    "Give --copy FILE or RECORD_COPY; or --without-copy, if there is none."
                )

    def _say(self, restored: Restored) -> None:
        write = self.stdout.write
        write("Ended:")
        for name, words in ENDED.items():
            write(f"  {restored.ended[name]:>7} {words}")
        write("Put back from the copy:")
        write(f"  {restored.events:>7} events, {restored.seals} seals")
        for name, number in restored.applied.items():
            write(f"  {number:>7} {APPLIED[name]}")
        if restored.for_people:
            write("For people to see to:")
        for what, whom in restored.for_people.items():
            write(f"  {what}:")
            for one in whom:
                write(f"    {one}")
