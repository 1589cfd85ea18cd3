"""The worker: sends what is due and tidies up, until it is stopped."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core import mail as django_mail
from django.db import OperationalError
from django.db.models.functions import Now

from credentials import audit, mail
from credentials.management.commands import worker
from credentials.models import Event, OutboxMail, RegistrationRequest, Seal, Session
from credentials.record import sealing
from tests.clock import time_passes
from tests.factories import MemberFactory
from tests.pages import browser, with_card

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.0)
    # The test's connection must outlive a turn of the worker.
    monkeypatch.setattr(worker, "close_old_connections", lambda: None)


class Turns(threading.Event):
    """Set after so many turns."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._left = turns

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_worker_sends_what_is_due() -> None:
    mail.queue("pin_set", MemberFactory())
    worker.work(Turns(2))
    assert len(django_mail.outbox) == 1


def test_worker_deletes_ended_sessions_and_old_requests() -> None:
    member = MemberFactory()
    with_card(browser(), member)
    browser().post("/web-id/register/", {"member_number": member.number, "email": member.email})
    worker.work(Turns(1))
    assert Session.objects.count() == 2
    time_passes(days=2)
    with_card(browser(), member)
    worker.work(Turns(1))
    assert Session.objects.count() == 1
    assert RegistrationRequest.objects.count() == 0


def test_worker_waits_for_a_lost_database(monkeypatch: pytest.MonkeyPatch) -> None:
    mail.queue("pin_set", MemberFactory())
    send = mail.send_due
    lost = [True]

    def send_due(*args: Any, **options: Any) -> int:
        if lost:
            lost.pop()
            raise OperationalError("canary of the server")
        return send(*args, **options)

    monkeypatch.setattr(mail, "send_due", send_due)
    worker.work(Turns(3))
    assert OutboxMail.objects.get().outcome == "sent"


def test_worker_seals_what_is_new() -> None:
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    worker.work(Turns(1))
    assert Seal.objects.count() == 1
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    worker.work(Turns(1))
    assert Seal.objects.count() == 2


def test_no_mail_waits_for_a_copy_of_the_record_that_is_out_of_reach(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.RECORD_COPY = str(tmp_path / "gone" / "record.jsonl")
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    mail.queue("pin_set", MemberFactory())
    worker.work(Turns(5))
    assert len(django_mail.outbox) == 1
    assert not Seal.objects.exists()
    [told] = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert "not sealed" in told

    (tmp_path / "gone").mkdir()
    worker.work(Turns(1))
    assert Seal.objects.count() == 1


def test_a_copy_of_the_record_that_is_lost_is_told_and_nothing_is_sealed(
    settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "record.jsonl"
    settings.RECORD_COPY = str(copy)
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    worker.work(Turns(1))
    copy.unlink()
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    worker.work(Turns(2))
    assert Seal.objects.count() == 1
    assert not copy.exists()
    [told] = [line.getMessage() for line in caplog.records if line.levelname == "ERROR"]
    assert "Is its storage mounted?" in told


def test_the_worker_looks_far_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    seals = worker.Sealing()
    assert seals.turn() == 1
    Event.objects.create(act="signed_in", by="x", at=Now() - sealing.LOOK_FAR_BACK / 2)
    assert [seals.turn(), seals.turn()] == [0, 0]
    later = time.monotonic() + worker.LOOK_FAR_BACK_EVERY_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert seals.turn() == 1


def test_sealing_begins_anew_after_the_database_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    audit.record(Event.Act.SIGNED_OUT, by=audit.MEMBER)
    lost = [True]
    waiting = sealing.waiting

    def waiting_or_lost(*args: Any) -> Any:
        if lost:
            lost.pop()
            raise OperationalError("canary of the server")
        return waiting(*args)

    monkeypatch.setattr(sealing, "waiting", waiting_or_lost)
    worker.work(Turns(2))
    assert Seal.objects.count() == 1


def test_stopped_worker_does_nothing_more() -> None:
    mail.queue("pin_set", MemberFactory())
    stop = threading.Event()
    stop.set()
    worker.work(stop)
    assert not django_mail.outbox
