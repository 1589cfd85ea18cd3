"""Signing in: card number + PIN, or Web-ID + password; for staff, the first of two steps.

The only ways in. Each goes through the same steps, and a refusal is the same for everyone:
unknown, wrong, suspended, closed or without a PIN (domain.md, rules 1, 3 and 5).
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from credentials import audit, second_factor, suspension, throttling
from credentials.attempts import Attempt, reserve, settle_success, sign_in_noted
from credentials.models import Event
from credentials.refusals import BUSY, REFUSED, Refusal
from credentials.sessions import open_session
from members import pins
from members.hashing import NoSlot, slots, verify_nobody, verify_password
from members.models import User, Way


def log_in_with_card(
    *, card_number: str, pin: str, session: SessionBase, source: str, language: str
) -> Refusal | None:
    """Sign a member in with the card and its PIN. `source`: the client's address.

    On success `session` is the member's, saved under a new key, and None is returned.
    """

    def verify(attempt: Attempt) -> bool:
        return pins.matches(attempt.sealed_pin, pin, card_number=card_number)

    return _log_in(Way.CARD, card_number, verify, pin, session, source, language)


def log_in_with_web_id(
    *, web_id: str, password: str, session: SessionBase, source: str, language: str
) -> Refusal | None:
    """Sign a member in with the Web-ID, in any case, and its password. As above."""
    return _log_in(
        Way.WEB_ID, web_id, _password_verifier(password), password, session, source, language
    )


def log_in_staff(
    *, username: str, password: str, session: SessionBase, source: str, language: str
) -> Refusal | None:
    """Take the first step of the staff's sign-in; counted and suspended like members.

    It opens nothing: `session` may now go on to the second step (credentials.second_factor).
    """
    return _log_in(
        Way.STAFF, username, _password_verifier(password), password, session, source, language
    )


def _password_verifier(password: str) -> Callable[[Attempt], bool]:
    def verify(attempt: Attempt) -> bool:
        return verify_password(attempt.password, password)

    return verify


def _log_in(
    way: Way,
    name: str,
    verify: Callable[[Attempt], bool],
    secret: str,
    session: SessionBase,
    source: str,
    language: str,
) -> Refusal | None:
    admission = throttling.admit("sign-in", address=source, account=f"{way}:{name.lower()}")
    if isinstance(admission, Refusal):
        return admission
    try:
        # The slot first: who is turned away for want of one is not charged an attempt.
        with slots.take() as hashing:
            attempt = reserve(way, name)
            matched = hashing(verify, attempt) if attempt else hashing(verify_nobody, secret)
    except NoSlot:
        admission.forgive()
        return BUSY
    if attempt and matched and _open(attempt, way, session, source, language):
        admission.forgive()
        return None
    suspension.fail(attempt, way=way, name=name, source=source)
    return REFUSED


def _open(attempt: Attempt, way: Way, session: SessionBase, source: str, language: str) -> bool:
    """Settle, record and open the session in one transaction. False: it is too late for that."""
    if way == Way.STAFF:
        return second_factor.begin(attempt, session, source=source)
    with transaction.atomic():
        if not settle_success(attempt, **sign_in_noted(way=way, language=language)):
            return False
        user = User(pk=attempt.user_id, password=attempt.password, epoch=attempt.epoch)
        audit.record(
            Event.Act.SIGNED_IN, by=audit.MEMBER, whom=attempt.whom, source=source, way=way
        )
        open_session(session, user)
    return True


def log_out(*, user: User, session: SessionBase, source: str) -> None:
    """End the session on the server, and record it."""
    with transaction.atomic():
        audit.record(
            Event.Act.SIGNED_OUT,
            by=audit.staff(user) if user.is_staff else audit.MEMBER,
            whom=audit.name_of(user),
            source=source,
        )
        session.flush()
