"""`manage.py after_restore`: to be run once a backup was restored, before the portal is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials.management.commands.import_members import Progress
from credentials.record import copy as record_copy
from credentials.record import restore
from credentials.record.restore import Restored
from credentials.refusals import Refusal
from members.feed import FeedRefused, FeedStopped, rejects_path

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
The record ends with the backup. Move the old copy aside, and begin a new one by
manage.py new_record_copy.
"""


class Command(BaseCommand):
    """Exit code 1: nothing was done."""

    help = (
        "After a backup was restored, before the portal is opened: ends all sessions, codes and "
        "tickets, puts the events back that the backup lacks, brings the feed in, and applies "
        "again what protects."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--copy", metavar="FILE", type=Path, help="the record's copy (default: RECORD_COPY)"
        )
        which.add_argument(
            "--without-copy",
            action="store_true",
            help="there is none, and what happened since the backup is lost",
        )
        parser.add_argument(
            "--feed", metavar="FILE", type=Path, help="the latest member feed, to be brought in"
        )

    def handle(
        self,
        *args: Any,
        copy: Path | None,
        without_copy: bool,
        feed: Path | None,
        verbosity: int = 1,
        **options: Any,
    ) -> None:
        self.stderr.style_func = None  # Progress is no error; CommandError is styled on its own.
        copy = None if without_copy else copy or record_copy.kept_at()
        if copy is None and not without_copy:
            # Before anything is done: what is on record afterwards would bar the copy's way back.
            raise CommandError(
                "Nothing was done. Where is the record's copy? Give --copy FILE or RECORD_COPY; "
                "--without-copy only if there is none any more."
            )
        progress = Progress(self.stderr.write) if verbosity else lambda counts: None
        try:
            restored = restore.after_restore(copy=copy, feed=feed, progress=progress)
        except (FeedRefused, FeedStopped) as error:
            raise CommandError(f"Nothing was done. The feed: {error}") from None
        except OSError as error:
            raise CommandError(f"Nothing was done. The copy cannot be read: {error}.") from None
        if isinstance(restored, Refusal):
            raise CommandError(f"Nothing was done. {restored.reason}")
        self._say(restored)
        if copy is None:
            self.stdout.write(LOST)
        if restored.fed and restored.fed.rejected and feed:
            write = self.stdout.write
            write(f"Rejected lines of the feed are in {rejects_path(feed)}: correct them, and")
            write("import them with import_members.")

    def _say(self, restored: Restored) -> None:
        write = self.stdout.write
        write("Ended:")
        for name, words in ENDED.items():
            write(f"  {restored.ended[name]:>7} {words}")
        write("Put back from the copy:")
        write(f"  {restored.events:>7} events, {restored.seals} seals")
        if restored.fed:
            write("Brought in by the feed:")
            write(f"  {restored.fed.created:>7} members created, {restored.fed.updated} updated")
        if restored.applied:
            write("Applied again:")
        for name, number in restored.applied.items():
            write(f"  {number:>7} {APPLIED[name]}")
        if restored.for_people:
            write("For people to see to:")
        for what, whom in restored.for_people.items():
            write(f"  {what}:")
            for one in whom:
                write(f"    {one}")
