"""From the cells of a line to what it says about a member, or the reasons why it cannot be right.

Numbers are read as people type them (members.numbers). All that is wrong with a line is told at
once, so that it need not come back twice. No reason quotes a cell.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from members.feed.lines import LineRejected
from members.models import Member
from members.numbers import (
    CARD_NUMBER_LENGTH,
    EMAIL_LENGTH,
    MEMBER_NUMBER_LENGTH,
    PIN_LENGTH,
    has_valid_check_digit,
    is_digits,
    plain_digits,
    plain_kana,
)

_FIRST_BIRTH_DATE = date(1900, 1, 1)
_NAME_LENGTH = Member._meta.get_field("name").max_length or 0
_KANA_LENGTH = Member._meta.get_field("name_kana").max_length or 0

# A domestic number starts with 0 and has ten or eleven digits (the Ministry of Internal Affairs
# and Communications' numbering plan), so a 0 that a spreadsheet has eaten is noticed; one from
# abroad starts with + and has up to fifteen (ITU-T E.164).
_PHONE = re.compile(r"0[0-9]{9,10}|\+[0-9]{8,15}")
_BRACKETS = str.maketrans("", "", "()")


@dataclass(slots=True)
class Entry:
    """What one good line says. `number` and `pin` may be blank; nothing else but email, phone."""

    line: int
    number: str
    name: str
    name_kana: str
    birth_date: date
    email: str
    phone: str
    card_number: str
    # Kept out of every message that shows an entry.
    pin: str = field(repr=False)


def _digits(cell: str) -> str:
    """`plain_digits`, but at once for a cell that is plain already."""
    return cell if cell.isdigit() and cell.isascii() else plain_digits(cell)


def _birth_date(cell: str, today: date) -> date | None:
    text = cell if cell.isascii() else unicodedata.normalize("NFKC", cell)
    text = text.strip()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # fromisoformat takes other forms too (19831231, 1983-W52-6).
    if day.isoformat() != text or not _FIRST_BIRTH_DATE <= day <= today:
        return None
    return day


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def read_entry(line: int, cells: tuple[str, ...], *, today: date) -> Entry:
    """Return what the cells (in the order of COLUMNS) say; raises LineRejected.

    `today` is the last day on which a member can have been born.
    """
    number, name, name_kana, birth_date, email, phone, card_number, pin = cells
    wrong = []

    if number := number.strip():
        number = _digits(number)
        if not is_digits(number, MEMBER_NUMBER_LENGTH):
            wrong.append(_("The member number must have nine digits."))

    name = name.strip()
    if not name:
        wrong.append(_("The name is missing."))
    elif len(name) > _NAME_LENGTH:
        wrong.append(_("The name is too long."))

    name_kana = plain_kana(name_kana)
    if not name_kana:
        wrong.append(_("The name in kana is missing."))
    elif len(name_kana) > _KANA_LENGTH:
        wrong.append(_("The name in kana is too long."))

    born = _birth_date(birth_date, today)
    if born is None:
        wrong.append(_("The birth date must be a day from 1900 to today, written like 1983-12-31."))

    email = email.strip()
    if len(email) > EMAIL_LENGTH:
        wrong.append(_("The email address is too long."))
    elif email and not _is_email(email):
        wrong.append(_("The email address is not one."))

    if phone := phone.strip():
        phone = _digits(phone)
        if not phone.isdigit():
            phone = phone.translate(_BRACKETS)
        if not _PHONE.fullmatch(phone):
            wrong.append(
                _("The phone number must start with 0 and have 10 or 11 digits, or start with +.")
            )

    card_number = _digits(card_number)
    if not is_digits(card_number, CARD_NUMBER_LENGTH):
        wrong.append(_("The card number must have 16 digits."))
    elif not has_valid_check_digit(card_number):
        wrong.append(_("The check digit of the card number is wrong: a digit is mistyped."))

    if pin := pin.strip():
        pin = _digits(pin)
        if not is_digits(pin, PIN_LENGTH):
            wrong.append(_("The PIN must have four digits."))

    if wrong or born is None:
        raise LineRejected(" ".join(wrong))
    return Entry(line, number, name, name_kana, born, email, phone, card_number, pin)
