"""What a chunk of entries changes, worked out before anything is written.

The entries are taken in the order of their lines, each seeing what the ones before it leave, so
the outcome does not depend on where one chunk ends and the next begins.

Whose PIN is on a card: one set in person, or being re-set so, stays. The feed writes a PIN only
where the card has none or has another one from the feed, so it never brings an old PIN back.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from members.feed.entries import Entry
from members.feed.seen import Claim, Seen
from members.models import Card, Member, User
from members.numbers import plain_email

# Anything that starts with "!" is no password (django.contrib.auth.hashers). Django adds random
# letters that only its password re-set by mail needs, and there is none here.
UNUSABLE_PASSWORD = "!"  # noqa: S105 see above

MEMBER_FIELDS = ("name", "name_kana", "birth_date", "email", "phone", "balance")


class Row(NamedTuple):
    """A member as the database has it; None for the fields of a card or user that is not there."""

    id: int
    number: str
    name: str
    name_kana: str
    birth_date: date
    email: str
    phone: str
    balance: int | None
    card_id: int | None
    card_number: str | None
    sealed_pin: str | None
    pin_origin: str | None
    user_id: int | None
    closed_at: datetime | None


_ROW = (
    *("id", "number", *MEMBER_FIELDS),
    *("card__id", "card__number", "card__sealed_pin", "card__pin_origin", "user__id", "closed_at"),
)


class Rows:
    """The members that a chunk may be about, by member number and by card number."""

    def __init__(self, entries: list[Entry]) -> None:
        self.by_number: dict[str, Row] = {}
        self.by_card: dict[str, Row] = {}
        self._find(number__in=[entry.number for entry in entries if entry.number])
        # A card that its own member has is found by now; the rest are new, or somebody else's.
        cards = [entry.card_number for entry in entries]
        self._find(card__number__in=[card for card in cards if card not in self.by_card])

    def _find(self, **which: list[str]) -> None:
        for values in Member.objects.filter(**which).values_list(*_ROW):
            row = Row._make(values)
            self.by_number[row.number] = row
            if row.card_number:
                self.by_card[row.card_number] = row


# What hashing came to: (line, what is sealed now) -> what to seal instead, or None where the PIN
# is the sealed one already.
Hashed = dict[tuple[int, str], str | None]


class CardChange(NamedTuple):
    """A card as it shall be, and as it was when that was decided."""

    card: Card
    was: tuple[str | None, str | None, str | None]


class Change(NamedTuple):
    """What a line changes about how a member is reached or signs in: it ends the open sessions.

    `member` knows who it is and no more. `old_email` is the address until now, None where it
    stays; `card`: another card or PIN.
    """

    member: Member
    old_email: str | None
    card: bool


class Plan:
    """What to write for a chunk, and which entries are rejected. Nothing is written yet.

    Where `unhashed` is not empty the plan is incomplete: hash those and plan again.
    """

    def __init__(self, entries: list[Entry], rows: Rows, seen: Seen, hashed: Hashed) -> None:
        self.rejected: list[tuple[Entry, str]] = []
        self.unhashed: list[tuple[Entry, str]] = []
        self.created: list[tuple[Entry, str | None]] = []
        self.updated: set[int] = set()
        self.claims: list[Claim] = []

        self.members: list[Member] = []
        # In the order of their lines: a card may take the number that one before it leaves.
        self.cards: list[CardChange] = []
        self.new_cards: list[Card] = []
        self.new_users: list[User] = []
        # Users whose open sessions must end, and what their members must be told of.
        self.users_to_sign_out: list[int] = []
        self.changes: list[Change] = []

        self._hashed = hashed
        self._by_number = rows.by_number
        self._by_card = dict(rows.by_card)
        self._line_of_number = seen.numbers(
            {entry.number for entry in entries if entry.number} | rows.by_number.keys()
        )
        self._line_of_card = seen.cards(entry.card_number for entry in entries)
        for entry in entries:
            self._place(entry)

    def _place(self, entry: Entry) -> None:
        """Find out whom the entry is about, and whether that can be."""
        owner = self._by_card.get(entry.card_number)
        row = self._by_number.get(entry.number) if entry.number else owner
        number = row.number if row else entry.number
        if line := self._line_of_number.get(number):
            self.rejected.append((entry, _("The same member is in line %d already.") % line))
        elif line := self._line_of_card.get(entry.card_number):
            self.rejected.append((entry, _("The same card number is in line %d already.") % line))
        elif owner is not None and owner is not row:
            self.rejected.append((entry, _("The card number belongs to another member.")))
        else:
            self._line_of_card[entry.card_number] = entry.line
            if number:
                self._line_of_number[number] = entry.line
                self.claims.append(Claim(entry.line, number, entry.card_number))
            if row is None:
                self.created.append((entry, self._sealed(entry)))
            else:
                self._compare(entry, row)

    def _compare(self, entry: Entry, row: Row) -> None:
        """Plan what differs between the entry and the member it is about."""
        fields = {name: getattr(entry, name) for name in MEMBER_FIELDS}
        if not entry.says_balance:
            fields["balance"] = row.balance
        if any(getattr(row, name) != value for name, value in fields.items()):
            self.members.append(Member(id=row.id, number=row.number, **fields))
            self.updated.add(entry.line)
        if row.user_id is None:
            self.new_users.append(new_user(row.id))
            self.updated.add(entry.line)
        if row.card_id is None:
            self.new_cards.append(new_card(row.id, entry, self._sealed(entry)))
            self.updated.add(entry.line)
        self._sign_out(entry, row, card=self._compare_card(entry, row))

    def _compare_card(self, entry: Entry, row: Row) -> bool:
        """Plan what differs about the card; whether it takes a PIN that signed in away."""
        if row.card_id is None:
            return False
        if row.card_number != entry.card_number:
            # The old PIN was sealed for the old number, and a new card comes with its own.
            self._change_card(entry, row, self._sealed(entry))
            return True
        if entry.pin and row.pin_origin != Card.Origin.IN_PERSON:
            sealed = self._sealed(entry, row.sealed_pin or "")
            if sealed:
                self._change_card(entry, row, sealed)
                return bool(row.sealed_pin)
        return False

    def _sign_out(self, entry: Entry, row: Row, *, card: bool) -> None:
        """Plan the end of the open sessions where the card or the address is another one."""
        # As two addresses are compared when a code is mailed (credentials.registration).
        moved = row.email != entry.email and plain_email(row.email) != plain_email(entry.email)
        # Whose membership is closed has no session, and is told nothing any more.
        if (card or moved) and row.user_id and not row.closed_at:
            self.users_to_sign_out.append(row.user_id)
            member = Member(id=row.id, number=row.number)
            self.changes.append(Change(member, row.email if moved else None, card))

    def _change_card(self, entry: Entry, row: Row, sealed: str | None) -> None:
        card = new_card(row.id, entry, sealed)
        card.pk = row.card_id
        self.cards.append(CardChange(card, (row.card_number, row.sealed_pin, row.pin_origin)))
        new_number = row.card_number != entry.card_number
        if new_number and row.card_number:
            self._by_card.pop(row.card_number)
        self.updated.add(entry.line)

    def _sealed(self, entry: Entry, old: str = "") -> str | None:
        """Return what to seal for the entry in place of `old`; None: nothing, or not hashed yet."""
        if not entry.pin:
            return None
        if (entry.line, old) not in self._hashed:
            self.unhashed.append((entry, old))
        return self._hashed.get((entry.line, old))


def new_card(member_id: int, entry: Entry, sealed: str | None) -> Card:
    """Return the card of an entry, unsaved, with the PIN that was sealed for it, if any."""
    return Card(
        member_id=member_id,
        number=entry.card_number,
        sealed_pin=sealed or "",
        pin_origin=Card.Origin.FEED if sealed else "",
        pin_set_at=Now() if sealed else None,
    )


def new_user(member_id: int) -> User:
    """Return the user of a member, unsaved, with no password until a Web-ID is registered."""
    return User(member_id=member_id, password=UNUSABLE_PASSWORD)
