"""Keys of the lender's systems: made and revoked by staff, shown once, stored hashed.

A key is `msp_`, eight characters by which it is found, and 256 random bits. What is stored is
a keyed hash (codes.py): so much randomness needs no slow hash, and the database alone opens
nothing. Several keys of a client are valid at once, so that one takes over from another.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from credentials import audit, codes
from credentials.models import ApiClient, ApiKey, Event
from credentials.refusals import Refusal, Why
from members.models import User

PERMISSION = "credentials.change_apiclient"
PREFIX_LENGTH = 12
SECRET_BYTES = 32
LIFE_DAYS = 365
LONGEST_LIFE_DAYS = 2 * LIFE_DAYS
_SHAPE = re.compile(r"msp_[a-z0-9]{8}_[A-Za-z0-9_-]{43}")
_FIRST_LETTERS = string.ascii_lowercase + string.digits
_GONE = "the key is of no client any more"


@dataclass(frozen=True)
class NewKey:
    """A key just made: `text` is all of it, to be shown once and kept nowhere."""

    key: ApiKey
    text: str


def make(
    *, client: ApiClient, scope: str, days: int | None, reason: str, by: User, source: str = ""
) -> NewKey | Refusal:
    """Make a key of `client` for one scope, valid for `days` days (None: a year).

    Every key has an end: one that nobody remembers must not open the API for ever.

    Refused, and on record, where `by` may not; refused without a reason, for a client that is
    not active, for an unknown scope or a life that is no number of days.
    """
    refusal = _require_permission(client, by=by, source=source)
    if refusal:
        return refusal
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    if not client.is_active or scope not in ApiKey.Scope.values:
        return Refusal(Why.REFUSED, reason=_("There is no such client or scope."))
    days = LIFE_DAYS if days is None else days
    if not 1 <= days <= LONGEST_LIFE_DAYS:
        reason = _("A key is valid for 1 to %(days)s days.") % {"days": LONGEST_LIFE_DAYS}
        return Refusal(Why.REFUSED, reason=reason)
    prefix = "msp_" + "".join(secrets.choice(_FIRST_LETTERS) for _turn in range(8))
    text = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    with transaction.atomic():
        key = ApiKey.objects.create(
            client=client,
            prefix=prefix,
            key_digest=_digest(text),
            scope=scope,
            created_by=audit.staff(by),
            expires_at=Now() + timedelta(days=days),
        )
        key.refresh_from_db()
        audit.record(
            Event.Act.API_KEY_MADE,
            by=audit.staff(by),
            whom=_name_of(client),
            source=source,
            key=prefix,
            scope=scope,
            days=days,
            reason=reason.strip(),
        )
    return NewKey(key, text)


def revoke(key: ApiKey, *, reason: str, by: User, source: str = "") -> Refusal | None:
    """End a key now: the next request with it is refused.

    Refused, and on record, where `by` may not; refused without a reason, and where it was
    revoked before.
    """
    refusal = _require_permission(key.client, by=by, source=source)
    if refusal:
        return refusal
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    with transaction.atomic():
        live = ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True)
        if not live.update(revoked_at=Now()):
            return Refusal(Why.REFUSED, reason=_("This key was revoked before."))
        audit.record(
            Event.Act.API_KEY_REVOKED,
            by=audit.staff(by),
            whom=_name_of(key.client),
            source=source,
            key=key.prefix,
            reason=reason.strip(),
        )
    return None


def authenticate(text: str) -> ApiKey | None:
    """Return the key, with its client, that `text` is; None where it is none or not valid now.

    Asked anew for each request, by the database's clock: so revoking and expiry hold at once.
    """
    if not _SHAPE.fullmatch(text):
        return None
    key = valid().select_related("client").filter(prefix=text[:PREFIX_LENGTH]).first()
    # With no such key the same comparison, with a digest that nothing has.
    matched = codes.same(key.key_digest if key else _digest(_GONE), _digest(text))
    return key if matched else None


def valid() -> QuerySet[ApiKey]:
    """Return the keys that are valid now."""
    return ApiKey.objects.filter(
        expires_at__gt=Now(), revoked_at__isnull=True, client__is_active=True
    )


def _digest(text: str) -> str:
    return codes.digest("api-key", text)


def _name_of(client: ApiClient) -> str:
    return f"api:{client.name}"


def _require_permission(client: ApiClient, *, by: User, source: str) -> Refusal | None:
    if by.has_perm(PERMISSION):
        return None
    audit.record(
        Event.Act.ACCESS_REFUSED,
        by=audit.staff(by),
        whom=_name_of(client),
        source=source,
        wanted=PERMISSION,
    )
    return Refusal(Why.NOT_PERMITTED, reason=_("Your role may not do this."))
