"""The numbers and names people type: how they are read, and what makes one well-formed.

Everything is read as people type it: full-width, with spaces and with any kind of hyphen
(NFKC, then stripped). Sources: design.md "Formats"; card numbers by ISO/IEC 7812-1.
"""

from __future__ import annotations

import re
import secrets
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MEMBER_NUMBER_LENGTH = 9
CARD_NUMBER_LENGTH = 16
PIN_LENGTH = 4
EMAIL_LENGTH = 254

# Hyphens as NFKC leaves them, and what stands for one on a Japanese keyboard (the long vowel
# mark among them); white space of every kind.
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015\u2212\u30fc\u30fb\ufe63.]+")


def plain_digits(text: str) -> str:
    """Return `text` half-width and without spaces and hyphens; other characters stay."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text))


def plain_email(text: str) -> str:
    """Return an address in the form in which two of them are compared."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def plain_kana(text: str) -> str:
    """Return a kana name as full-width katakana with single spaces."""
    kana = unicodedata.normalize("NFKC", text)
    kana = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in kana)
    return " ".join(kana.split())


# What kana names are compared without: core systems write キヨウコ for キョウコ and leave ー out.
KANA_LEVELLED = (
    (" ", ""), ("ー", ""), ("・", ""),
    ("ァ", "ア"), ("ィ", "イ"), ("ゥ", "ウ"), ("ェ", "エ"), ("ォ", "オ"),
    ("ッ", "ツ"), ("ャ", "ヤ"), ("ュ", "ユ"), ("ョ", "ヨ"), ("ヮ", "ワ"),
)  # fmt: skip


def levelled_kana(text: str) -> str:
    """Return a kana name as names are compared: no spaces, no small kana, no long-vowel marks.

    The same as the database makes of `Member.name_kana` in `Member.kana_key`.
    """
    text = plain_kana(text)
    for written, compared in KANA_LEVELLED:
        text = text.replace(written, compared)
    return text


_BRACKETS = str.maketrans("", "", "()")


def plain_phones(text: str) -> list[str]:
    """Return the ways in which this phone number may be on file: digits, a + before them abroad.

    A Japanese number may have come with the trunk 0 or with +81; nothing where it is no number.
    """
    digits = plain_digits(text).translate(_BRACKETS)
    if digits.startswith("+"):
        digits = "00" + digits[1:]
    if not digits.isascii() or not digits.isdigit():
        return []
    if digits.startswith("0081"):
        digits = "0" + digits[4:].removeprefix("0")
    if digits.startswith("00"):
        return [f"+{digits[2:]}"]
    if re.fullmatch(r"0[1-9][0-9]{8,9}", digits):
        return [digits, f"+81{digits[1:]}"]
    return []


def is_digits(text: str, length: int) -> bool:
    """Whether `text` is exactly `length` ASCII digits."""
    return len(text) == length and text.isascii() and text.isdigit()


def has_valid_check_digit(number: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def issue_member_number() -> str:
    """Return nine random digits, the first not 0 (a spreadsheet would eat it).

    Random and not in sequence, so that one number tells nothing of another. The caller sees to
    it that the number is free.
    """
    return str(secrets.randbelow(900_000_000) + 100_000_000)


def grouped(digits: str, size: int) -> str:
    """Return `digits` in groups of `size` with spaces between."""
    return " ".join(digits[i : i + size] for i in range(0, len(digits), size))


def validate_member_number(value: str) -> None:
    """Raise ValidationError unless `value` is nine digits."""
    if not is_digits(value, MEMBER_NUMBER_LENGTH):
        raise ValidationError(_("A member number has nine digits."), code="member_number")


def validate_card_number(value: str) -> None:
    """Raise ValidationError unless `value` is a card number; a member number is told so.

    Judged by the shape alone, with no look-up, so the answer says nothing about who exists.
    """
    if is_digits(value, MEMBER_NUMBER_LENGTH):
        raise ValidationError(
            _(
                "That looks like a member number (nine digits). It does not sign in. "
                "Type the 16 digits on the front of your card."
            ),
            code="member_number",
        )
    if not is_digits(value, CARD_NUMBER_LENGTH):
        raise ValidationError(
            _("A card number has 16 digits. It is on the front of your card."),
            code="card_number",
        )
    if not has_valid_check_digit(value):
        raise ValidationError(
            _(
                "There is no card with this number: a digit is mistyped. Compare it with your "
                "card. This was not counted as a failure."
            ),
            code="check_digit",
        )


def validate_pin_shape(value: str) -> None:
    """Raise ValidationError unless `value` is four digits."""
    if not is_digits(value, PIN_LENGTH):
        raise ValidationError(_("A PIN has four digits."), code="pin")


_WEB_ID = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9]{8,32}")


def validate_web_id(value: str) -> None:
    """Raise ValidationError unless `value` may be a Web-ID.

    8 to 32 half-width letters and digits, both present: so it never has the shape of a number
    or of an address.
    """
    if not _WEB_ID.fullmatch(value):
        raise ValidationError(
            _("A Web-ID has 8 to 32 half-width letters and digits, at least one of each."),
            code="web_id",
        )
