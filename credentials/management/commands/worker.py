"""`manage.py worker`: sends the outbox and seals the record, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections

from credentials import card_verification, mail, registration
from credentials.record import sealing
from credentials.sessions import SessionStore

logger = logging.getLogger(__name__)

COMPOSERS = {registration.MAIL_KIND: registration.compose}
PAUSE_SECONDS = 1.0
TIDY_EVERY_SECONDS = 600.0
# Where the record's copy is out of reach or out of step, until the next try.
SEAL_AGAIN_SECONDS = 60.0
LOOK_FAR_BACK_EVERY_SECONDS = 3600.0


class Sealing:
    """The sealer's work, a batch a turn, so that no mail waits for a long one."""

    def __init__(self) -> None:
        self._rest_until = 0.0
        self._begin()

    def _begin(self) -> None:
        self._passes = sealing.passes()
        self._begin_again_at = time.monotonic() + LOOK_FAR_BACK_EVERY_SECONDS

    def turn(self) -> int:
        """Seal one batch; return how many that were. After any trouble it begins anew."""
        now = time.monotonic()
        if now < self._rest_until:
            return 0
        if now >= self._begin_again_at:
            self._begin()
        try:
            return next(self._passes)
        except (sealing.OutOfStep, OSError) as error:
            self._begin()
            self._rest_until = time.monotonic() + SEAL_AGAIN_SECONDS
            logger.error("record not sealed: %s", error)
            return 0
        except Error:
            self._begin()
            raise


def work(stop: threading.Event) -> None:
    """Send what is due, seal what is new and tidy up, until `stop` is set.

    A lost database is waited for.
    """
    tidied, seals = 0.0, Sealing()
    while not stop.is_set():
        try:
            sent, sealed = mail.send_due(COMPOSERS), seals.turn()
            if time.monotonic() - tidied > TIDY_EVERY_SECONDS or not tidied:
                SessionStore.clear_expired()
                registration.forget_old_requests()
                card_verification.forget_old_traces()
                tidied = time.monotonic()
        except Error as error:
            logger.warning("database out of reach: %s", type(error).__name__)
            sent = sealed = 0
        close_old_connections()
        if not sent and sealed < sealing.BATCH:
            stop.wait(PAUSE_SECONDS)


class Command(BaseCommand):
    """Runs `work` in the foreground; any number of workers may run side by side."""

    help = "Sends the outbox and seals the record, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("worker started")
        work(stop)
        logger.info("worker stopped")
