"""`manage.py worker`: sends the outbox, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections

from credentials import card_verification, mail, registration
from credentials.sessions import SessionStore

logger = logging.getLogger(__name__)

COMPOSERS = {registration.MAIL_KIND: registration.compose}
PAUSE_SECONDS = 1.0
TIDY_EVERY_SECONDS = 600.0


def work(stop: threading.Event) -> None:
    """Send what is due and tidy up, until `stop` is set; a lost database is waited for."""
    tidied = 0.0
    while not stop.is_set():
        try:
            sent = mail.send_due(COMPOSERS)
            if time.monotonic() - tidied > TIDY_EVERY_SECONDS or not tidied:
                SessionStore.clear_expired()
                registration.forget_old_requests()
                card_verification.forget_old_traces()
                tidied = time.monotonic()
        except Error as error:
            logger.warning("database out of reach: %s", type(error).__name__)
            sent = 0
        close_old_connections()
        if not sent:
            stop.wait(PAUSE_SECONDS)


class Command(BaseCommand):
    """Runs `work` in the foreground; any number of workers may run side by side."""

    help = "Sends the outbox, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("worker started")
        work(stop)
        logger.info("worker stopped")
