"""`manage.py rotate_pin_keys`: seal everything anew under the first of PIN_KEYS."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.db.models import Model
from django.utils.translation import gettext as _

from credentials.card_verification import TRACES_KEPT
from credentials.key_rotation import Counts, rotate, rows_under
from credentials.models import CardVerification
from members.models import Card

SECONDS_BETWEEN_LINES = 2.0


class Command(BaseCommand):
    """Exit code 0: every row is under the first key. 1: some do not open, or the run stopped."""

    help = (
        "Seals PINs and the staff's second factors anew under the first of PIN_KEYS, while the "
        "portal runs, and says which older keys may be removed. May be run again at any time."
    )

    def handle(self, *_args: Any, verbosity: int = 1, **_options: Any) -> None:
        self.stderr.style_func = None  # Progress is no error; CommandError is styled on its own.
        progress = _Progress(self.stderr.write)
        try:
            counts = rotate(
                progress=progress if verbosity else lambda counts: None,
                tell_closed=lambda row: self.stderr.write(
                    _("does not open: %(row)s") % {"row": _named(row)}
                ),
            )
            self.stdout.write(
                _(
                    "sealed anew: %(resealed)d, changed by others meanwhile: %(overtaken)d, "
                    "not opened: %(closed)d"
                )
                % vars(counts)
            )
            for version in list(settings.PIN_KEYS)[1:]:
                self._say_whether_it_may_go(version)
        except DatabaseError as error:
            # The kind of the error and not its text, which may quote rows.
            raise CommandError(
                _("The database failed (%(error)s). Run the same command again to finish.")
                % {"error": type(error).__name__}
            ) from None
        except KeyboardInterrupt:
            self.stderr.write(_("Interrupted. Run the same command again to finish."))
            sys.exit(130)
        if counts.closed:
            raise CommandError(
                _("%(closed)d rows do not open with any of PIN_KEYS.") % {"closed": counts.closed}
            )

    def _say_whether_it_may_go(self, version: str) -> None:
        left = rows_under(version)
        if left:
            said = _("%(version)s: still %(rows)d rows under it; it must stay in PIN_KEYS.")
        elif CardVerification.objects.exists():
            said = _(
                "%(version)s: no row is under it; it may be removed from PIN_KEYS in %(days)d "
                "days, when the card host's questions of before are forgotten."
            )
        else:
            said = _("%(version)s: no row is under it; it may be removed from PIN_KEYS.")
        self.stdout.write(said % {"version": version, "rows": left, "days": TRACES_KEPT.days})


def _named(row: Model) -> str:
    """Name a row without giving a card's number away."""
    return f"card {row.pk} ({row})" if isinstance(row, Card) else str(row)


class _Progress:
    """Writes a line now and then, to a terminal and to a log file alike."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self._start = self._last = time.monotonic()

    def __call__(self, counts: Counts) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES and counts.rows < counts.waiting:
            return
        self._last = now
        self._write(
            _("%(percent)d%%: %(rows)d rows, %(closed)d not opened, %(rate)d rows/s")
            % {
                "percent": 100 * counts.rows / max(counts.waiting, counts.rows, 1),
                "rows": counts.rows,
                "closed": counts.closed,
                "rate": counts.rows / max(now - self._start, 0.001),
            }
        )
