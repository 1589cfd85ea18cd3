"""Finding a member from what somebody on the phone can say."""

from __future__ import annotations

import re
from datetime import date

from django.db.models import Q, QuerySet

from members.models import Member
from members.numbers import (
    CARD_NUMBER_LENGTH,
    MEMBER_NUMBER_LENGTH,
    is_digits,
    plain_digits,
    plain_kana,
)

_DATE = re.compile(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?")


def find_members(members: QuerySet[Member], typed: str) -> QuerySet[Member]:
    """Return the members that what was typed may mean, by the indexed columns only.

    A member number, a card number, a name in kana (its beginning), a birth date, or the last two
    together; in any width, with spaces and hyphens. What is none of these finds nobody.
    """
    digits = plain_digits(typed)
    if is_digits(digits, MEMBER_NUMBER_LENGTH):
        return members.filter(number=digits)
    if is_digits(digits, CARD_NUMBER_LENGTH):
        return members.filter(card__number=digits)
    typed = plain_kana(typed)
    wanted = Q()
    if found := _DATE.search(typed):
        try:
            wanted &= Q(birth_date=date(*map(int, found.groups())))
        except ValueError:
            return members.none()
        typed = (typed[: found.start()] + typed[found.end() :]).strip()
    if typed:
        wanted &= Q(name_kana__startswith=typed)
    return members.filter(wanted) if wanted else members.none()
