"""The second step of the staff's sign-in: the code of an authenticator app.

The password opens nothing: it leaves a session without a user, in which only the pages of the
second step work. Who has no second factor yet enrols one there. A wrong code counts like a wrong
password, in the same count, before it is judged; a right password clears nothing of that count.

    password → (at first: enrol) → code of the app, or a recovery code → the session is opened
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import Exists
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from credentials import audit, codes, suspension, throttling, totp
from credentials.attempts import Attempt, hand_back, reserve, settle_success, sign_in_noted
from credentials.models import Event, RecoveryCode, SecondFactor
from credentials.refusals import REFUSED, Refusal, Why
from credentials.sessions import open_session, rows, start_over
from members import sealing
from members.models import User, Way

RECOVERY_CODES = 10
RECOVERY_CODE_LENGTH = 10
_PENDING = "second_factor"
_PROVEN = "second_factor_proven"


@dataclass(frozen=True)
class Enrolment:
    """What the page shows once, for an app to take up: as letters, and as a QR code."""

    letters: str
    qr_code: str


# --- Between the two steps ------------------------------------------------------------------


def begin(attempt: Attempt, session: SessionBase, *, source: str) -> bool:
    """Note that the password was right, in a session that is nobody's. In a transaction of its own.

    False where the account was suspended, closed or changed since the attempt was reserved.
    """
    user = User(pk=attempt.user_id, password=attempt.password, epoch=attempt.epoch)
    with transaction.atomic():
        if not hand_back(attempt):
            return False
        audit.record(Event.Act.PASSWORD_RIGHT, by=audit.VISITOR, whom=attempt.whom, source=source)
        noted = {"user": user.pk, "hash": user.get_session_auth_hash()}
        start_over(session, **{_PENDING: noted})
    return True


def pending(session: SessionBase) -> Any:
    """Return the User whose password this browser has just proven; None where it has not.

    With the database's clock as `.now`, and `.factor`: the second factor, None before enrolment.
    Ends after SECOND_FACTOR_SECONDS, and when password or epoch change.
    """
    kept = session.get(_PENDING)
    if not kept:
        return None
    fresh = rows(session.session_key).filter(
        opened_at__gt=Now() - timedelta(seconds=settings.SECOND_FACTOR_SECONDS),
    )
    staff = User.objects.filter(Exists(fresh), pk=kept["user"], is_active=True, is_staff=True)
    user: Any = staff.annotate(now=Now()).select_related("second_factor").first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), kept["hash"]):
        return None
    user.factor = getattr(user, "second_factor", None)
    return user


def is_proven(session: SessionBase) -> bool:
    """Whether both steps opened this session."""
    return bool(session.get(_PROVEN))


# --- Enrolment ------------------------------------------------------------------------------


def offer(session: SessionBase) -> Enrolment | None:
    """Return what to enrol in this session; None where there is nobody to enrol.

    The secret is this session's own until its first code came back: what an earlier holder of
    the password may have been shown is worth nothing to them.
    """
    staff = pending(session)
    if staff is None or staff.factor:
        return None
    kept = session[_PENDING]
    secret = _unsealed(kept.get("secret", ""), staff.pk)
    if secret is None:
        secret = totp.new_secret()
        session[_PENDING] = {**kept, "secret": seal(secret, staff.pk)}
    address = totp.address(secret, name=staff.username, issuer=_("Member service"))
    return Enrolment(totp.in_letters(secret), totp.qr_code(address))


def enrol(*, code: str, session: SessionBase, source: str, language: str) -> list[str] | Refusal:
    """Take the app on whose first `code` came back, and open the session.

    Returns the recovery codes, to be shown this once. A wrong code is not counted here: its
    secret stands on the page, so there is nothing to guess.
    """
    staff = pending(session)
    sealed = session.get(_PENDING, {}).get("secret", "")
    secret = _unsealed(sealed, staff.pk) if staff and not staff.factor else None
    if secret is None:
        return _expired()
    step = totp.step_of(code, secret, now=staff.now)
    if step is None:
        return REFUSED
    attempt = _reserved(staff)
    with transaction.atomic():
        factor = SecondFactor(pk=staff.pk, sealed_secret=sealed, last_step=step)
        if (
            attempt is None
            or not settle_success(attempt, **sign_in_noted(way=Way.STAFF, language=language))
            # Locked by the statement before: of two enrolments at once, the second sees the first.
            or SecondFactor.objects.filter(pk=staff.pk).exists()
        ):
            transaction.set_rollback(True)
            return _expired()
        factor.save(force_insert=True)
        by = audit.staff(staff)
        audit.record(Event.Act.SECOND_FACTOR_ENROLLED, by=by, whom=by, source=source)
        shown = replace_recovery_codes(factor)
        _open(staff, session, source=source, second="enrolment")
    return shown


# --- Verification ---------------------------------------------------------------------------


def verify(*, code: str, session: SessionBase, source: str, language: str) -> Refusal | None:
    """Open the session for whose `code` is right: six digits of the app, or a recovery code."""
    staff = pending(session)
    if staff is None or staff.factor is None:
        return _expired()
    admission = throttling.admit("sign-in", address=source, account=_account(staff))
    if isinstance(admission, Refusal):
        return admission
    attempt = _reserved(staff)
    with transaction.atomic():
        second = _use(staff.factor, code, now=staff.now) if attempt else ""
        if attempt and second:
            noted = sign_in_noted(way=Way.STAFF, language=language)
            if settle_success(attempt, **noted):
                _open(staff, session, source=source, second=second)
                admission.forgive()
                return None
    _fail(attempt, staff, source)
    return REFUSED


def new_recovery_codes(*, user: User, code: str, source: str) -> list[str] | Refusal:
    """Replace one's own recovery codes; `code` is a fresh one of the app, counted like any."""
    staff: Any = User.objects.annotate(now=Now()).select_related("second_factor").get(pk=user.pk)
    admission = throttling.admit("sign-in", address=source, account=_account(staff))
    if isinstance(admission, Refusal):
        return admission
    attempt = _reserved(staff)
    with transaction.atomic():
        of_app = len(code) == totp.LENGTH
        right = attempt and of_app and _use(staff.second_factor, code, now=staff.now)
        if attempt and right and hand_back(attempt):
            by = audit.staff(staff)
            audit.record(Event.Act.RECOVERY_CODES_MADE, by=by, whom=by, source=source)
            admission.forgive()
            return replace_recovery_codes(staff.second_factor)
    _fail(attempt, staff, source)
    return REFUSED


def recovery_codes_left(user: User) -> int:
    """Return how many recovery codes of this member of staff are unused."""
    return RecoveryCode.objects.filter(second_factor=user.pk, used_at__isnull=True).count()


def _use(factor: SecondFactor, code: str, *, now: Any) -> str:
    """Use `code` up and return what it was; empty where it is wrong or was used before.

    The conditional update decides: of many requests with one code at once, one wins.
    """
    if len(code) == RECOVERY_CODE_LENGTH:
        unused = factor.recovery_codes.filter(used_at__isnull=True)
        digest = _digest(factor.pk, code)
        return "recovery code" if unused.filter(code_digest=digest).update(used_at=Now()) else ""
    secret = _unsealed(factor.sealed_secret, factor.pk)
    step = totp.step_of(code, secret, now=now, after=factor.last_step) if secret else None
    if secret is None or step is None:
        return ""
    # Sealed anew with each use, so that an old key is out of use soon.
    used = SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step).update(
        last_step=step, sealed_secret=seal(secret, factor.pk)
    )
    return "app" if used else ""


# --- What the acts share ---------------------------------------------------------------------


def seal(secret: bytes, user_id: int) -> str:
    """Return the app's secret as a column may hold it, for this user only."""
    return sealing.seal(secret, bound_to=_bound_to(user_id))


def reseal(sealed: str, user_id: int) -> str | None:
    """Return the same secret under the key that writes today; None where it does not open."""
    secret = _unsealed(sealed, user_id)
    return None if secret is None else seal(secret, user_id)


def _unsealed(sealed: str, user_id: int) -> bytes | None:
    return sealing.unseal(sealed, bound_to=_bound_to(user_id))


def _bound_to(user_id: int) -> bytes:
    return f"portal staff second factor\0{user_id}".encode()


def _digest(user_id: int, code: str) -> str:
    return codes.digest("recovery-code", str(user_id), code)


def replace_recovery_codes(factor: SecondFactor) -> list[str]:
    """Make new recovery codes and return them, to be shown once; the old ones are gone."""
    shown = [codes.random_digits(RECOVERY_CODE_LENGTH) for _number in range(RECOVERY_CODES)]
    factor.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(second_factor=factor, code_digest=_digest(factor.pk, code)) for code in shown
    )
    return shown


def _account(staff: User) -> str:
    return f"{Way.STAFF}:{str(staff.username).lower()}"


def _reserved(staff: User) -> Attempt | None:
    """Count an attempt; None where it may not be judged, or secrets changed since the password."""
    attempt = reserve(Way.STAFF, str(staff.username))
    same = attempt and (attempt.epoch, attempt.password) == (staff.epoch, staff.password)
    return attempt if same else None


def _open(staff: User, session: SessionBase, *, source: str, second: str) -> None:
    by = audit.staff(staff)
    audit.record(Event.Act.SIGNED_IN, by=by, whom=by, source=source, way=Way.STAFF, second=second)
    open_session(session, staff, **{_PROVEN: True})


def _fail(attempt: Attempt | None, staff: User, source: str) -> None:
    suspension.fail(
        attempt,
        way=Way.STAFF,
        name=str(staff.username),
        source=source,
        act=Event.Act.SECOND_FACTOR_FAILED,
    )


def _expired() -> Refusal:
    return Refusal(Why.REFUSED, reason=_("This sign-in has expired. Start it again."))
