"""Signing in: card number + PIN, or Web-ID + password; for staff, the first of two steps.

The only ways in. Each goes through the same steps, and a refusal is the same for everyone:
unknown, wrong, suspended, closed or without a PIN (domain.md, rules 1, 3 and 5).

A device that is known for the account (credentials.devices) is let in where strangers are not:
with card and PIN while the alarm is raised, and while the counters of throttling are gone. What
it may guess is counted and bounded as ever.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from limits.errors import StorageError

from credentials import alarm, audit, mail, second_factor, suspension, throttling
from credentials.attempts import Attempt, accounts, reserve, settle_success, sign_in_noted
from credentials.devices import Device
from credentials.models import Event
from credentials.refusals import BUSY, REFUSED, Refusal, Why
from credentials.sessions import open_session
from credentials.throttling import UNCOUNTED, Admission
from members import pins
from members.hashing import NoSlot, slots, verify_nobody, verify_password
from members.models import Member, User, Way


def log_in_with_card(
    *, card_number: str, pin: str, session: SessionBase, source: str, device: Device, language: str
) -> Device | Refusal:
    """Sign a member in with the card and its PIN. `source`: the client's address.

    On success `session` is the member's, saved under a new key, and the device is returned as it
    is known from now on. CLOSED while the alarm is raised and the device is not known.
    """

    def verify(attempt: Attempt) -> bool:
        return pins.matches(attempt.sealed_pin, pin, card_number=card_number)

    return _log_in(Way.CARD, card_number, verify, pin, session, source, device, language)


def log_in_with_web_id(
    *, web_id: str, password: str, session: SessionBase, source: str, device: Device, language: str
) -> Device | Refusal:
    """Sign a member in with the Web-ID, in any case, and its password. As above, never CLOSED."""
    verify = _password_verifier(password)
    return _log_in(Way.WEB_ID, web_id, verify, password, session, source, device, language)


def log_in_staff(
    *, username: str, password: str, session: SessionBase, source: str, language: str
) -> Refusal | None:
    """Take the first step of the staff's sign-in; counted and suspended like members.

    It opens nothing: `session` may now go on to the second step (credentials.second_factor).
    """
    verify = _password_verifier(password)
    outcome = _log_in(Way.STAFF, username, verify, password, session, source, Device(), language)
    return outcome if isinstance(outcome, Refusal) else None


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
    device: Device,
    language: str,
) -> Device | Refusal:
    admission = _admit(way, name, source, device)
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
    if attempt and matched and _open(attempt, way, session, source, device, language):
        admission.forgive()
        return device.knowing(attempt.user_id, attempt.device_epoch)
    suspension.fail(attempt, way=way, name=name, source=source)
    _failed(way)
    return REFUSED


def _admit(way: Way, name: str, source: str, device: Device) -> Admission | Refusal:
    """Let an attempt in before anything is charged, or refuse it; StorageError: counters gone.

    What a source's limit turns away does not count for the alarm, and of what the alarm turns
    away no more than such a share: else one address could raise it, or keep it up, for everybody.
    """
    try:
        admission = throttling.admit("sign-in", address=source, account=f"{way}:{name.lower()}")
        if isinstance(admission, Refusal) or way != Way.CARD:
            return admission
        closed_for = alarm.raised_for()
    except StorageError:
        if way == Way.STAFF or not _is_known(device, way, name):
            raise
        return UNCOUNTED
    if closed_for and not _is_known(device, way, name):
        admission.forgive()
        if isinstance(throttling.admit("closed", address=source), Admission):
            alarm.count_failure()
        return Refusal(Why.CLOSED, retry_after=closed_for)
    return admission


def _is_known(device: Device, way: Way, name: str) -> bool:
    """Whether this very account has signed in on this device; the same work whoever it names."""
    if not device.entries:
        return False
    account = accounts(way, name).values_list("pk", "device_epoch").first()
    return device.knows(*(account or (0, 0)))


def _failed(way: Way) -> None:
    if way != Way.STAFF:
        alarm.count_failure()


def _open(
    attempt: Attempt, way: Way, session: SessionBase, source: str, device: Device, language: str
) -> bool:
    """Settle, record and open the session in one transaction. False: it is too late for that."""
    if way == Way.STAFF:
        return second_factor.begin(attempt, session, source=source)
    known = device.knows(attempt.user_id, attempt.device_epoch)
    with transaction.atomic():
        if not settle_success(attempt, **sign_in_noted(way=way, language=language)):
            return False
        user = User(pk=attempt.user_id, password=attempt.password, epoch=attempt.epoch)
        audit.record(
            Event.Act.SIGNED_IN,
            by=audit.MEMBER,
            whom=attempt.whom,
            source=source,
            way=way,
            device=device.name,
            known=known,
        )
        if attempt.signed_in_before and not known:
            mail.queue("new_device", Member(pk=attempt.member_id), way=way)
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
