"""What the feed changes about how a member is reached or signs in: on record, and told.

The feed itself ends the open sessions of those members (members.feed.plan), and with the epoch
the codes that were mailed to the old address.
"""

from __future__ import annotations

from credentials import audit, mail
from credentials.models import Event
from members.feed import Change


def tell(changes: list[Change]) -> None:
    """Put each change on record and queue its notices, in the feed's own transaction.

    A changed address is told at both, so that whoever had it changed behind the member's back
    cannot keep the member from hearing of it.
    """
    for member, old_email, card in changes:
        if old_email is not None:
            audit.record(Event.Act.ADDRESS_CHANGED, by=audit.SYSTEM, whom=member.number)
            mail.queue("address_changed", member)
            if old_email:
                mail.queue("address_changed", member, to=old_email)
        if card:
            audit.record(Event.Act.CARD_CHANGED, by=audit.SYSTEM, whom=member.number)
            mail.queue("card_changed", member)
