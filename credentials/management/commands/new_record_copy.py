"""`manage.py new_record_copy`: begin the record's copy anew, once the old one was put away."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credentials.record import copy as record_copy
from credentials.record import sealing


class Command(BaseCommand):
    """Exit code 1: nothing was written, or not all; the message says why."""

    help = (
        "Begins a new copy of the record at RECORD_COPY with all that is sealed. The worker does "
        "so by itself only before the first seal: a copy that is gone later was lost, or its "
        "storage is not mounted."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        path = record_copy.kept_at()
        if path is None:
            raise CommandError("RECORD_COPY is not set.")
        try:
            number = sealing.begin_copy(path)
        except sealing.OutOfStep as error:
            raise CommandError(f"{path}: {error}.") from None
        except OSError as error:
            raise CommandError(f"The copy cannot be written: {error}.") from None
        self.stdout.write(f"Begun: {path} has positions 1 to {number}.")
