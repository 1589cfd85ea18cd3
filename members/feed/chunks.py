"""A chunk of entries becomes rows of Member, Card and User, in one transaction.

What is there is read and a plan is made without a lock, and PINs are hashed outside the
transaction: 1,000 of them take seconds, and nobody must wait for those at the sign-in. So the
cards to be changed are locked and looked at again before they are written; where one has changed
meanwhile (a PIN re-set in person, say), the chunk is planned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import F

from members import pins
from members.feed.entries import Entry
from members.feed.plan import (
    MEMBER_FIELDS,
    CardChange,
    Change,
    Hashed,
    Plan,
    Rows,
    new_card,
    new_user,
)
from members.feed.seen import Claim, Seen
from members.models import Card, Member, User
from members.numbers import issue_member_number

_ATTEMPTS = 8
_CARD_FIELDS = ("number", "sealed_pin", "pin_origin", "pin_set_at")

# Calls a function for each item, on as many cores as there are; the results come in order.
OnAllCores = Callable[
    [Callable[[tuple[Entry, str]], str | None], Iterable[tuple[Entry, str]]],
    Iterable[str | None],
]
# Is told, inside the transaction of a chunk, whose card, PIN or address it changes.
Tell = Callable[[list[Change]], None]


class Contended(Exception):
    """Somebody else changed the rows of a chunk each time it was to be written."""


class _Moved(Exception):
    """A card is no longer as it was when the plan was made."""


@dataclass
class Outcome:
    """What became of a chunk: how many entries created, changed or found a member; the rejects."""

    created: int
    updated: int
    unchanged: int
    pins: int
    rejected: list[tuple[Entry, str]]


def bring_in(entries: list[Entry], *, seen: Seen, on_all_cores: OnAllCores, tell: Tell) -> Outcome:
    """Write what `entries` change, all or nothing, and return what became of them.

    Raises Contended, or what the database raises; then nothing of the chunk is written.
    """
    hashed: Hashed = {}
    for _attempt in range(_ATTEMPTS):
        plan = Plan(entries, Rows(entries), seen, hashed)
        if plan.unhashed:
            keys = [(entry.line, old) for entry, old in plan.unhashed]
            hashed.update(zip(keys, on_all_cores(_hash, plan.unhashed), strict=True))
            continue
        try:
            with transaction.atomic():
                _write_changes(plan)
                issued = _write_created(plan, seen)
                tell(plan.changes)
        except (IntegrityError, _Moved):
            # A number issued here was taken at the same moment, or a row changed.
            continue
        seen.remember(plan.claims + issued)
        return _outcome(entries, plan)
    raise Contended


def _hash(item: tuple[Entry, str]) -> str | None:
    """Return what to seal for an entry in place of what is sealed; None if that is its PIN."""
    entry, old = item
    if old and pins.matches(old, entry.pin, card_number=entry.card_number):
        return None
    return pins.seal(entry.pin, card_number=entry.card_number)


def _write_changes(plan: Plan) -> None:
    # Users before cards: the order in which a PIN re-set takes them, so neither waits in a ring.
    if plan.users_to_sign_out:
        users = User.objects.filter(pk__in=plan.users_to_sign_out)
        list(users.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        users.update(epoch=F("epoch") + 1, device_epoch=F("device_epoch") + 1)
    _lock_as_planned(plan.cards)
    # An upsert by primary key is one plain INSERT; bulk_update makes a CASE of every row.
    if plan.members:
        Member.objects.bulk_create(
            plan.members,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=MEMBER_FIELDS,
        )
    # Row by row in this order, so a number that one card leaves is free for the next.
    if plan.cards:
        Card.objects.bulk_create(
            [change.card for change in plan.cards],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=_CARD_FIELDS,
        )
    Card.objects.bulk_create(plan.new_cards)
    User.objects.bulk_create(plan.new_users)


def _lock_as_planned(changes: list[CardChange]) -> None:
    if not changes:
        return
    cards = Card.objects.filter(pk__in=[change.card.pk for change in changes])
    locked = cards.select_for_update(no_key=True).order_by("pk")
    now = {pk: tuple(rest) for pk, *rest in locked.values_list("pk", *_CARD_FIELDS[:3])}
    if any(now.get(change.card.pk) != change.was for change in changes):
        raise _Moved


def _write_created(plan: Plan, seen: Seen) -> list[Claim]:
    """Insert the new members; return the claims of those whose number was issued here."""
    blank = sum(not entry.number for entry, _sealed in plan.created)
    free = iter(_issue(blank, seen))
    members = [
        Member(
            number=entry.number or next(free),
            name=entry.name,
            name_kana=entry.name_kana,
            birth_date=entry.birth_date,
            email=entry.email,
            phone=entry.phone,
            balance=entry.balance,
        )
        for entry, _sealed in plan.created
    ]
    Member.objects.bulk_create(members)
    Card.objects.bulk_create(
        new_card(member.pk, entry, sealed)
        for member, (entry, sealed) in zip(members, plan.created, strict=True)
    )
    User.objects.bulk_create(new_user(member.pk) for member in members)
    return [
        Claim(entry.line, member.number, entry.card_number)
        for member, (entry, _sealed) in zip(members, plan.created, strict=True)
        if not entry.number
    ]


def _issue(count: int, seen: Seen) -> set[str]:
    """Return `count` member numbers that nobody has and that no line of the file gives."""
    numbers: set[str] = set()
    while len(numbers) < count:
        drawn = {issue_member_number() for _draw in range(count - len(numbers))}
        taken = Member.objects.filter(number__in=drawn).values_list("number", flat=True)
        numbers |= drawn - set(taken) - seen.given_among(drawn)
    return numbers


def _outcome(entries: list[Entry], plan: Plan) -> Outcome:
    created, updated, rejected = len(plan.created), len(plan.updated), plan.rejected
    cards = (change.card for change in plan.cards)
    return Outcome(
        created=created,
        updated=updated,
        unchanged=len(entries) - created - updated - len(rejected),
        pins=sum(bool(sealed) for _entry, sealed in plan.created)
        + sum(bool(card.sealed_pin) for card in (*cards, *plan.new_cards)),
        rejected=rejected,
    )
