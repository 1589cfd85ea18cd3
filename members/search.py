"""Finding a member from whatever somebody has or can say.

    said = read("ヤマダ ハナコ 昭和58年12月31日")   what was typed, or why it cannot be used
    candidates(said, at_most=50)                  whom it fits

What was typed is told apart by its shape alone. Each kind of it has an index of its own; several
together must all fit. What is not understood finds nobody.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models.functions import Right
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from members.models import Member
from members.numbers import (
    CARD_NUMBER_LENGTH,
    MEMBER_NUMBER_LENGTH,
    has_valid_check_digit,
    is_digits,
    levelled_kana,
    plain_digits,
    plain_email,
    plain_phones,
    validate_web_id,
)
from members.romaji import readings

MOST_TYPED = 200
_AFTER_ALL_KANA = "\U0010ffff"


class Kind(StrEnum):
    """What somebody may have of a member, as the record names it."""

    MEMBER_NUMBER = "member number"
    CARD_NUMBER = "card number"
    CARD_LAST_FOUR = "card's last four"
    KANA = "kana"
    BIRTH_DATE = "birth date"
    PHONE = "phone"
    WEB_ID = "Web-ID"
    EMAIL = "email"


KIND_LABELS = {
    Kind.MEMBER_NUMBER: _("member number"),
    Kind.CARD_NUMBER: _("card number"),
    Kind.CARD_LAST_FOUR: _("last four digits of the card"),
    Kind.KANA: _("name in kana"),
    Kind.BIRTH_DATE: _("birth date"),
    Kind.PHONE: _("phone"),
    Kind.WEB_ID: _("Web-ID"),
    Kind.EMAIL: _("registered email address"),
}


@dataclass
class Said:
    """What was typed, as it was understood; `problem` is what to say where it was not.

    `beginnings`: how the name may begin, levelled; several where it was typed in letters.
    """

    facts: dict[Kind, Any] = field(default_factory=dict)
    beginnings: list[str] = field(default_factory=list)
    problem: str | Promise = ""

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of what was typed, in the order of `Kind`; none where there is a problem."""
        if self.problem:
            return []
        return [kind for kind in Kind if kind in self.facts or (kind == "kana" and self.beginnings)]


class _NotUnderstood(Exception):
    """Carries what to say."""


_LETTERS = "A-Za-zāīūēōâîûêôĀĪŪĒŌ'’"
_TOKEN = re.compile(
    r"(?P<email>[^\s@]*@\S*)"
    r"|(?P<era>(?P<name>明治|大正|昭和|平成|令和|[MTSHRmtshr])\s?(?P<eyear>\d{1,2}|元)\s?[年./-]"
    r"\s?(?P<emonth>\d{1,2})\s?[月./-]\s?(?P<eday>\d{1,2})(?!\d)\s?日?)"
    r"|(?P<date>(?P<year>(?:19|20)\d\d)\s?[年./-]"
    r"\s?(?P<month>\d{1,2})\s?[月./-]\s?(?P<day>\d{1,2})(?!\d)\s?日?)"
    rf"|(?P<letters>[0-9-]*[{_LETTERS}][0-9{_LETTERS}-]*)"
    rf"|(?P<number>[+(]?\d[\d\s().+-]*(?<!\s)(?![\d{_LETTERS}@]))"
    r"|(?P<kana>[ぁ-ゖァ-ヺー・-]+)"
    r"|(?P<other>\S+)"
)
# What people type between digits for a hyphen.
_HYPHENS = re.compile(r"(?<=\d)[\u2010-\u2015\u2212\u30fc\ufe63](?=\d)")
# The year before the first one of each era.
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_ERAS |= {"M": 1867, "T": 1911, "S": 1925, "H": 1988, "R": 2018}
_FIRST_BIRTH_YEAR = 1900


def read(typed: str) -> Said:
    """Return what was typed as it is understood; any width, any kind of kana, romaji."""
    text = " ".join(unicodedata.normalize("NFKC", typed).split())
    if not text:
        return Said()
    if len(text) > MOST_TYPED:
        return Said(problem=_("That is too long to be anything of a member's."))
    said, kana, letters = Said(), "", []
    try:
        for token in _TOKEN.finditer(_HYPHENS.sub("-", text)):
            part = token[0]
            if token["era"] or token["date"]:
                _note(said, Kind.BIRTH_DATE, _birth_date(token))
            elif token["email"]:
                _note(said, Kind.EMAIL, _email(part))
            elif token["letters"] and any(c.isdigit() for c in part):
                _note(said, Kind.WEB_ID, _web_id(part))
            elif token["letters"]:
                letters.append(part)
            elif token["number"]:
                _note_numbers(said, part)
            elif token["kana"]:
                kana += part
            else:
                raise _NotUnderstood(_other(part))
        said.beginnings = _beginnings(kana, letters)
    except _NotUnderstood as because:
        return Said(problem=because.args[0])
    if not said.kinds:
        return Said(problem=_("Type a few characters more."))
    return said


def _note(said: Said, kind: Kind, value: Any) -> None:
    if said.facts.setdefault(kind, value) != value:
        raise _NotUnderstood(
            _("Two of the same kind (%(kind)s): type one.") % {"kind": KIND_LABELS[kind]}
        )


def _birth_date(token: re.Match[str]) -> date:
    if token["date"]:
        year, month, day = (int(token[part]) for part in ("year", "month", "day"))
    else:
        of_era = 1 if token["eyear"] == "元" else int(token["eyear"])
        year = _ERAS[token["name"].upper()] + of_era
        month, day = int(token["emonth"]), int(token["eday"])
    found = _day(year, month, day)
    if found is None:
        raise _NotUnderstood(_("There is no such day. Write a birth date like 1983-12-31."))
    return found


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year >= _FIRST_BIRTH_YEAR else None
    except ValueError:
        return None


def _email(part: str) -> str:
    if not re.fullmatch(r"[^@]+@[^@]+\.[^@.]+", part):
        raise _NotUnderstood(_("The email address is not complete: type all of it."))
    return plain_email(part)


def _web_id(part: str) -> str:
    try:
        validate_web_id(part)
    except ValidationError as error:
        raise _NotUnderstood(
            _("Letters and digits are a Web-ID, and that has 8 to 32 of them: this has %(count)s.")
            % {"count": len(part)}
        ) from error
    return part.lower()


def _note_numbers(said: Said, part: str) -> None:
    """Note the number in `part`, or the several ones that only spaces part."""
    try:
        _note(said, *_number(part))
    except _NotUnderstood:
        pieces = part.split()
        if len(pieces) < 2:
            raise
        try:
            found = [_number(piece) for piece in pieces]
        except _NotUnderstood as because:
            raise because from None
        for kind, value in found:
            _note(said, kind, value)


def _number(part: str) -> tuple[Kind, Any]:
    """Return which kind of number this is, by how many digits it has."""
    digits = plain_digits(part)
    if is_digits(digits, MEMBER_NUMBER_LENGTH):
        return Kind.MEMBER_NUMBER, digits
    if is_digits(digits, CARD_NUMBER_LENGTH):
        if not has_valid_check_digit(digits):
            raise _NotUnderstood(
                _("16 digits, but no card has this number: one of the digits is mistyped.")
            )
        return Kind.CARD_NUMBER, digits
    if is_digits(digits, 4):
        return Kind.CARD_LAST_FOUR, digits
    if is_digits(digits, 8) and (day := _day(*map(int, (digits[:4], digits[4:6], digits[6:])))):
        return Kind.BIRTH_DATE, day
    if phones := plain_phones(part):
        return Kind.PHONE, phones
    count = sum(c.isdigit() for c in digits)
    raise _NotUnderstood(
        ngettext_lazy(
            "%(count)s digit: a card number has 16 (or give its last 4), a member number 9, "
            "a phone number 10 or 11, a birth date 8 (19831231).",
            "%(count)s digits: a card number has 16 (or give its last 4), a member number 9, "
            "a phone number 10 or 11, a birth date 8 (19831231).",
            "count",
        )
        % {"count": count}
    )


def _other(part: str) -> str | Promise:
    if any("一" <= c <= "鿿" for c in part):
        return _("Names are searched in kana (or in letters), not in kanji.")
    return _("Not understood: %(part)s") % {"part": part}


def _beginnings(kana: str, letters: list[str]) -> list[str]:
    """Return how the name may begin, levelled."""
    beginning = levelled_kana(kana).replace("-", "")
    if not letters:
        return [beginning] if beginning else []
    read_as = [levelled_kana(reading) for reading in readings(" ".join(letters))]
    if not read_as:
        raise _NotUnderstood(
            _("These letters are no Japanese name. Type the name in kana, or all of the Web-ID.")
        )
    return [beginning + reading for reading in dict.fromkeys(read_as)]


def candidates(said: Said, *, at_most: int) -> list[int]:
    """Return the primary keys of the members whom all of it fits, `at_most` so many.

    A statement for each way to read the name, likeliest first, and each from an index: they are
    in the order of the index on names, so that the first few of very many are found at once.
    """
    if said.problem or not said.kinds:
        return []
    members = Member.objects.order_by("kana_key", "birth_date", "pk")
    for kind, value in said.facts.items():
        members = _CONDITIONS[kind](members, value)
    found: dict[int, None] = {}
    for beginning in said.beginnings or [""]:
        # A range, not LIKE: an index answers it on every database.
        named = (
            members.filter(kana_key__gte=beginning, kana_key__lt=beginning + _AFTER_ALL_KANA)
            if beginning
            else members
        )
        found.update(dict.fromkeys(named.values_list("pk", flat=True)[:at_most]))
        if len(found) >= at_most:
            break
    return list(found)[:at_most]


_CONDITIONS: dict[Kind, Callable[[Any, Any], Any]] = {
    Kind.MEMBER_NUMBER: lambda members, digits: members.filter(number=digits),
    Kind.CARD_NUMBER: lambda members, digits: members.filter(card__number=digits),
    Kind.CARD_LAST_FOUR: lambda members, digits: members.alias(
        last_four=Right("card__number", 4)
    ).filter(last_four=digits),
    Kind.BIRTH_DATE: lambda members, day: members.filter(birth_date=day),
    Kind.PHONE: lambda members, phones: members.filter(phone__in=phones),
    Kind.WEB_ID: lambda members, name: members.filter(web_id__name__lower=name),
    Kind.EMAIL: lambda members, address: members.filter(email__lower=address),
}
