"""The site-wide alarm: very many failures of members' sign-in, wherever they come from.

A limit for each source does not see who tries one PIN on very many cards from very many sources.
So all failures are counted together, also those that the alarm itself turned away; but of no source
more than its share, so that no single one raises it. Past GLOBAL_FAILURE_ALARM the alarm is raised,
for ALARM_SECONDS from the last moment that there were too many: all that while card and PIN sign
in only on devices that are known for the account (credentials.login). It is kept among the
counters, so all processes share it, and it ends by their clock.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from django.conf import settings
from django.db import transaction
from limits import parse
from limits.errors import StorageError

from credentials import audit, throttling
from credentials.counters import seconds_left
from credentials.models import Event

logger = logging.getLogger(__name__)

_FAILURES = ("alarm:failures:1", "alarm:failures:2")
_RAISED = "alarm:raised"
_TURN = "alarm:turn"
# While failures are too many, the alarm is prolonged so often, by one process at a time.
_TURN_SECONDS = 5


def raised_for() -> int:
    """Return for how many seconds the alarm is still raised; 0: it is not."""
    storage = throttling.counters()
    if not storage.get(_RAISED):
        return 0
    return seconds_left(storage, _RAISED, at_most=settings.ALARM_SECONDS)


def count_failure() -> None:
    """Count one failure of a member's sign-in, and raise or prolong the alarm where it is due.

    With the counters gone nothing is counted; then unknown devices are turned away anyway.
    """
    with suppress(StorageError):
        failures, limit = _counted(), parse(settings.GLOBAL_FAILURE_ALARM)
        # One in turn sees to it: so of all who find too many failures at once, one puts it on
        # record; and where that one dies half-way, the next in turn does.
        if failures > limit.amount and throttling.counters().incr(_TURN, _TURN_SECONDS) == 1:
            _raise(failures)


def _counted() -> int:
    """Count one, in two counts that begin half a period apart; return the higher one.

    Whatever comes within half a period is in one of them as a whole.
    """
    storage, period = throttling.counters(), parse(settings.GLOBAL_FAILURE_ALARM).get_expiry()
    first, second = _FAILURES
    count = storage.incr(first, period)
    apart = int(storage.get_expiry(first) - time.time() + period / 2) % period
    return max(count, storage.incr(second, apart or period))


def _raise(failures: int) -> None:
    storage, seconds = throttling.counters(), settings.ALARM_SECONDS
    if not storage.get(_RAISED):
        # First, so that no alarm is raised that is not on record.
        _announce(failures, seconds)
    storage.clear(_RAISED)
    storage.incr(_RAISED, seconds)


def _announce(failures: int, seconds: int) -> None:
    limit = settings.GLOBAL_FAILURE_ALARM
    logger.error(
        "alarm: %s failures to sign in, the limit is %s; for %s s card and PIN sign in only on"
        " known devices",
        failures,
        limit,
        seconds,
    )
    with transaction.atomic():
        audit.record(
            Event.Act.ALARM_RAISED,
            by=audit.SYSTEM,
            limit=limit,
            failures=failures,
            seconds=seconds,
        )
