"""Telling the member number: a deliberate act of the call centre, after verification.

Every telling is on record: who, whom, when, how verified, why (domain.md, rule 6). Only the
member number is ever told; there is no act that tells a PIN or a password.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from credentials import audit, verification
from credentials.models import Event
from credentials.refusals import Refusal, Why
from members.models import Member, User

PERMISSION = "members.tell_member_number"


def tell_member_number(*, member: Member, by: User, reason: str, source: str = "") -> str | Refusal:
    """Return the nine digits for `by` to read out; `reason` is what the caller needs them for."""
    check = verification.require_opened(PERMISSION, member=member, by=by, source=source)
    if isinstance(check, Refusal):
        return check
    if not reason.strip():
        return Refusal(Why.REFUSED, reason=_("State the reason."))
    audit.record(
        Event.Act.NUMBER_TOLD,
        by=audit.staff(by),
        whom=member.number,
        source=source,
        verified=check.channel,
        check=check.pk,
        reason=reason.strip(),
    )
    return member.number
