"""The outbox: acts queue a mail in their own transaction, the worker writes and sends it.

No mail is sent inside a request. What a mail says is made when it is sent, so the table holds
neither texts nor codes, and a mailed code's life begins when it leaves. Every mail goes out at
least once: a try takes the mail for `LEASE`, and whoever dies in the middle leaves it to be tried
again after that.
"""

from __future__ import annotations

import logging
import smtplib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.dateparse import parse_datetime

from credentials.models import OutboxMail
from members.models import Member, User

logger = logging.getLogger(__name__)

# A try may last as long as SMTP's steps together, each bounded by EMAIL_TIMEOUT.
LEASE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(minutes=10)
GIVEN_UP_AFTER = timedelta(days=2)


@dataclass(frozen=True)
class Letter:
    """What one mail will say: to whom, in which language, by which template, about what."""

    to: str
    language: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)


# Writes the letter of one kind of mail, when it is sent; None where there is nothing to say.
Composer = Callable[[OutboxMail], Letter | None]


def queue(kind: str, member: Member | None = None, **context: datetime | str | int | None) -> None:
    """Put a mail into the outbox, in the caller's transaction. `context`: plain values."""
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in context.items()
    }
    OutboxMail.objects.create(kind=kind, member=member, context=plain)


def compose_notice(mail: OutboxMail) -> Letter | None:
    """Write a notice to the member's registered address, in the language they last used.

    Queued with `to`, it goes there instead: to the address that was registered until now.
    """
    member = mail.member
    to = mail.context.get("to") or (member.email if member else "")
    if member is None or not to:
        return None
    user = User.objects.get(member=member)
    context = {"name": member.name, "last_four": member.card.last_four, "at": mail.queued_at}
    for name, value in mail.context.items():
        context[name] = _datetime_or_same(value)
    return Letter(to, user.language, mail.kind, context)


def _datetime_or_same(value: Any) -> Any:
    try:
        return (isinstance(value, str) and parse_datetime(value)) or value
    except ValueError:
        return value


def message_of(letter: Letter) -> EmailMessage:
    """Render a letter: the template's first line is the subject, the rest the body."""
    context = {
        "call_centre_phone": settings.CALL_CENTRE_PHONE,
        "call_centre_hours": settings.CALL_CENTRE_HOURS,
        "failure_limit": settings.LOGIN_FAILURE_LIMIT,
        **letter.context,
    }
    with translation.override(letter.language):
        text = render_to_string(f"mail/{letter.template}.txt", context)
    subject, _newline, body = text.strip().partition("\n")
    return EmailMessage(subject.strip(), body.strip() + "\n", to=[letter.to])


def send_due(composers: Mapping[str, Composer], *, at_most: int = 100) -> int:
    """Send what is due, oldest first; return how many mails were closed.

    Returns at once where the SMTP server does not answer: nothing is taken, and all of it is
    still due when it is back.
    """
    if not waiting().filter(due_at__lte=Now()).exists():
        return 0
    connection = get_connection()
    try:
        connection.open()
    except OSError as error:
        logger.warning("mail server out of reach: %s", type(error).__name__)
        return 0
    closed = 0
    try:
        for _turn in range(at_most):
            mail = _take()
            if mail is None:
                break
            if not _send(mail, composers.get(mail.kind, compose_notice), connection):
                break
            closed += 1
    finally:
        _hang_up(connection)
    return closed


def waiting() -> QuerySet[OutboxMail]:
    """Return the mails that must still go out."""
    return OutboxMail.objects.filter(closed_at__isnull=True)


def _take() -> OutboxMail | None:
    """Take the oldest mail that is due, so that no other worker tries it during `LEASE`."""
    while mail := waiting().filter(due_at__lte=Now()).order_by("due_at", "pk").first():
        mine = waiting().filter(pk=mail.pk, tries=mail.tries)
        if mine.update(tries=F("tries") + 1, due_at=Now() + LEASE):
            mail.tries += 1
            return OutboxMail.objects.select_related("member__card").get(pk=mail.pk)
    return None


def _send(mail: OutboxMail, compose: Composer, connection: BaseEmailBackend) -> bool:
    """Try one mail. False where the connection is no good for the next one."""
    try:
        letter = compose(mail)
        if letter is None:
            _close(mail, "nothing to say")
            return True
        message = message_of(letter)
        message.connection = connection
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _text in error.recipients.values()}
        if all(code >= 500 for code in codes):
            # The address is dead: only a person can mend that, so it shows in the admin.
            _close(mail, "refused", error=f"recipient refused: {sorted(codes)}")
        else:
            _put_back(mail, error)
        return True
    except (OSError, smtplib.SMTPException) as error:
        _put_back(mail, error)
        return False
    except Exception as error:
        # One mail that cannot be written must not hold up the others.
        logger.exception("mail %s of kind %s cannot be written", mail.pk, mail.kind)
        _put_back(mail, error)
        return True
    _close(mail, "sent")
    return True


def _close(mail: OutboxMail, outcome: str, error: str = "") -> None:
    OutboxMail.objects.filter(pk=mail.pk).update(closed_at=Now(), outcome=outcome, last_error=error)
    logger.info("mail %s of kind %s: %s", mail.pk, mail.kind, outcome)


def _put_back(mail: OutboxMail, error: Exception) -> None:
    """Leave the mail for a later try: soon at first, then ever less often."""
    name = type(error).__name__
    wait = min(timedelta(seconds=2 ** min(mail.tries, 12)), LONGEST_WAIT)
    given_up = Q(pk=mail.pk, queued_at__lt=Now() - GIVEN_UP_AFTER)
    if OutboxMail.objects.filter(given_up).update(
        closed_at=Now(), outcome="given up", last_error=name
    ):
        logger.error("mail %s of kind %s: given up after %s", mail.pk, mail.kind, name)
        return
    waiting().filter(pk=mail.pk).update(due_at=Now() + wait, last_error=name)
    logger.warning("mail %s of kind %s: %s, again in %s", mail.pk, mail.kind, name, wait)


def _hang_up(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except (OSError, smtplib.SMTPException):
        logger.warning("mail server went away while hanging up")


class ReadableConsole(BaseEmailBackend):
    """Prints every mail as a person reads it, for the demo: Django's prints it encoded."""

    def send_messages(self, email_messages: Any) -> int:
        for message in email_messages:
            lines = [f"To: {', '.join(message.to)}", f"Subject: {message.subject}", ""]
            lines += message.body.splitlines()
            sys.stdout.write("\n".join(["", "┌── mail", *(f"│ {line}" for line in lines), "└──\n"]))
            sys.stdout.flush()
        return len(email_messages)
