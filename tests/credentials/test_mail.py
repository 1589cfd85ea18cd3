"""The outbox: every mail goes out at least once, whatever happens to the mail server."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models.functions import Now

from credentials import mail
from credentials.mail import Letter, message_of
from credentials.management.commands.worker import COMPOSERS
from credentials.models import OutboxMail
from members.models import Member, User
from tests.clock import time_passes
from tests.factories import MemberFactory
from tests.pages import LANGUAGES, said

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "mail"
KINDS = sorted(path.stem for path in TEMPLATES.glob("[!_]*.txt"))
CONTEXT = {"name": "山田 花子", "last_four": "1234", "code": "123456", "minutes": 10}


class Server(BaseEmailBackend):
    """A mail server whose answers a test decides."""

    down = False
    answers: dict[str, Exception] = {}
    delivered: list[EmailMessage] = []

    def open(self) -> bool:
        if Server.down:
            raise ConnectionRefusedError
        return True

    def send_messages(self, email_messages: Any) -> int:
        for message in email_messages:
            if error := Server.answers.get(message.to[0]):
                raise error
            Server.delivered.append(message)
        return len(email_messages)


@pytest.fixture
def server(settings: Any) -> Iterator[type[Server]]:
    settings.EMAIL_BACKEND = f"{__name__}.Server"
    Server.down, Server.answers, Server.delivered = False, {}, []
    yield Server
    Server.down, Server.answers, Server.delivered = False, {}, []


def queue(kind: str = "pin_set", **fields: Any) -> Member:
    member: Member = MemberFactory(**fields)
    mail.queue(kind, member)
    return member


def work() -> int:
    return mail.send_due(COMPOSERS)


def receivers() -> list[str]:
    return [message.to[0] for message in Server.delivered]


# --- Sending ----------------------------------------------------------------------------------


def test_mails_go_out_in_the_order_in_which_they_were_queued(server: type[Server]) -> None:
    members = [queue() for _ in range(5)]
    assert work() == 5
    assert receivers() == [member.email for member in members]


def test_mail_goes_out_once(server: type[Server]) -> None:
    member = queue()
    work()
    time_passes(days=1)
    work()
    assert receivers() == [member.email]
    row = OutboxMail.objects.get()
    assert (row.outcome, row.last_error) == ("sent", "")
    assert row.closed_at is not None


def test_mail_goes_to_the_address_that_is_registered_when_it_leaves(server: type[Server]) -> None:
    member = queue()
    Member.objects.filter(pk=member.pk).update(email="new@example.com")
    work()
    assert receivers() == ["new@example.com"]


def test_mail_comes_from_the_service(deliver: Deliver, settings: Any) -> None:
    queue()
    [message] = deliver()
    assert message.from_email == settings.DEFAULT_FROM_EMAIL


@pytest.mark.parametrize("language", LANGUAGES)
def test_notice_is_in_the_language_the_member_used_last(language: str, deliver: Deliver) -> None:
    member = queue()
    User.objects.filter(member=member).update(language=language)
    [message] = deliver()
    assert message.subject == said("Your new PIN is set", language)


# --- When sending fails -----------------------------------------------------------------------


def test_server_out_of_reach_leaves_every_mail_as_it_was(server: type[Server]) -> None:
    members = [queue() for _ in range(3)]
    server.down = True
    assert work() == 0
    assert set(OutboxMail.objects.values_list("tries", flat=True)) == {0}
    server.down = False
    assert work() == 3
    assert receivers() == [member.email for member in members]


@pytest.mark.parametrize(
    "error",
    [
        smtplib.SMTPServerDisconnected("gone"),
        smtplib.SMTPDataError(451, b"try later"),
        ConnectionResetError(),
        TimeoutError(),
        smtplib.SMTPRecipientsRefused({"x": (450, b"greylisted")}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_mail_that_failed_is_tried_again(server: type[Server], error: Exception) -> None:
    member = queue()
    server.answers = {member.email: error}
    work()
    row = OutboxMail.objects.get()
    assert (row.closed_at, row.tries, row.last_error) == (None, 1, type(error).__name__)
    assert work() == 0, "not at once"
    server.answers = {}
    time_passes(seconds=5)
    work()
    assert receivers() == [member.email]


def test_tries_grow_rarer_but_never_rarer_than_ten_minutes(server: type[Server]) -> None:
    member = queue()
    server.answers = {member.email: TimeoutError()}
    for _ in range(12):
        time_passes(minutes=10, seconds=1)
        work()
    assert OutboxMail.objects.get().tries == 12


def test_dead_address_is_given_up_at_once_and_holds_up_nobody(server: type[Server]) -> None:
    dead, others = queue(), [queue(), queue()]
    refused = smtplib.SMTPRecipientsRefused({dead.email: (550, b"no such user")})
    server.answers = {dead.email: refused}
    work()
    assert receivers() == [member.email for member in others]
    row = OutboxMail.objects.get(member=dead)
    assert row.outcome == "refused"
    assert "550" in row.last_error
    assert dead.email not in row.last_error


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        smtplib.SMTPDataError(554, b"rejected"),
        ValueError("cannot be written"),
        smtplib.SMTPRecipientsRefused({"x": (450, b"later")}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_mail_that_always_fails_does_not_hold_up_the_others(
    server: type[Server], error: Exception
) -> None:
    first, others = queue(), [queue(), queue()]
    server.answers = {first.email: error}
    for _ in range(3):
        work()
    assert receivers() == [member.email for member in others]


def test_mail_is_given_up_after_two_days(server: type[Server]) -> None:
    member = queue()
    server.answers = {member.email: TimeoutError()}
    time_passes(hours=47)
    work()
    assert mail.waiting().exists()
    time_passes(hours=2)
    work()
    row = OutboxMail.objects.get()
    assert (row.outcome, row.last_error) == ("given up", "TimeoutError")
    server.answers = {}
    time_passes(hours=1)
    work()
    assert receivers() == []


def test_mail_of_a_worker_that_died_is_sent_when_its_lease_is_over(server: type[Server]) -> None:
    member = queue()
    OutboxMail.objects.update(tries=1, due_at=Now() + mail.LEASE)
    assert work() == 0
    time_passes(seconds=61)
    assert work() == 1
    assert receivers() == [member.email]


def test_mail_that_one_worker_is_sending_is_not_sent_by_another(
    server: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [queue() for _ in range(3)]
    send = Server.send_messages
    nested: list[int] = []

    def slowly(self: Server, email_messages: Any) -> int:
        if not nested:
            nested.append(0)
            nested[0] = work()
        return send(self, email_messages)

    monkeypatch.setattr(Server, "send_messages", slowly)
    work()
    assert nested == [2], "the other worker sends the other mails in the meantime"
    assert sorted(receivers()) == sorted(member.email for member in members)


# --- What a mail says -------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mail_is_whole_in_both_languages(kind: str, language: str) -> None:
    moment = OutboxMail.objects.create(kind=kind)
    moment.refresh_from_db()
    context = CONTEXT | {"at": moment.queued_at, "until": moment.queued_at}
    message = message_of(Letter("hanako@example.com", language, kind, context))
    text = f"{message.subject}\n{message.body}"
    assert message.subject
    assert "\n" not in message.subject
    assert "山田 花子" in text
    assert "0120-000-000" in text, "whom to call"
    for leftover in ("{{", "{%", "}}", "&amp;", "&#", "None"):
        assert leftover not in text
    japanese = re.search(r"[ぁ-ヿ]", text.replace("山田 花子", ""))
    assert bool(japanese) == (language == "ja")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_mail_contains_a_link(kind: str, language: str) -> None:
    moment = OutboxMail.objects.create(kind=kind)
    moment.refresh_from_db()
    context = CONTEXT | {"at": moment.queued_at, "until": None}
    message = message_of(Letter("hanako@example.com", language, kind, context))
    text = f"{message.subject}\n{message.body}"
    assert not re.search(r"https?:|www\.|://|\w\.(com|jp|example|net)\b|<a\s", text)
    assert not message.attachments
    assert not getattr(message, "alternatives", [])


def test_name_with_markup_is_written_as_it_is() -> None:
    context = CONTEXT | {"name": "<b>&花子", "at": None, "until": None}
    message = message_of(Letter("hanako@example.com", "ja", "pin_set", context))
    assert "<b>&花子" in message.body


def test_name_with_a_line_break_cannot_write_headers(server: type[Server]) -> None:
    queue(name="花子\nBcc: evil@example.com")
    work()
    [message] = Server.delivered
    assert message.recipients() == message.to
    assert "Bcc" not in message.message()


def test_outbox_keeps_neither_text_nor_address(server: type[Server]) -> None:
    member = queue()
    work()
    row = str(OutboxMail.objects.values().get())
    assert member.email not in row
    assert member.name not in row
