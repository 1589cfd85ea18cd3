"""PINs: how one is kept, how it is compared, and which ones a member may choose.

A PIN has 10,000 values, so no hash protects it: whoever holds a bare hash finds the PIN in
minutes. What is stored is therefore an Argon2id hash sealed with AES-256-GCM under a key that is
never in the database, with the card number as associated data: without the key the row is
useless, and a row copied to another card does not open. Keys have versions: the first of
PIN_KEYS writes, all of them read, so keys rotate without asking anybody for a PIN.

This module is the only one that knows how; a hardware security module or the card host can take
its place behind `seal`, `matches` and `reseal`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from members import sealing
from members.hashing import hash_secret, verify_nobody, verify_secret


def _bound_to(card_number: str) -> bytes:
    return b"portal card pin\0" + card_number.encode()


def _seal_hash(encoded: str, card_number: str) -> str:
    return sealing.seal(encoded.encode(), bound_to=_bound_to(card_number))


def _open_hash(sealed: str, card_number: str) -> str | None:
    opened = sealing.unseal(sealed, bound_to=_bound_to(card_number))
    return None if opened is None else opened.decode()


def seal(pin: str, *, card_number: str) -> str:
    """Return what to store for `pin` on the card with `card_number`. Costs one hashing."""
    return _seal_hash(hash_secret(pin), card_number)


def matches(sealed: str, pin: str, *, card_number: str) -> bool:
    """Whether `pin` is the one sealed for this card. Always costs one hashing.

    False, in the same time, where nothing is stored, the key is unknown, or the row was sealed
    for another card.
    """
    encoded = _open_hash(sealed, card_number)
    if encoded is None:
        return verify_nobody(pin)
    return verify_secret(encoded, pin)


def reseal(sealed: str, *, card_number: str) -> str | None:
    """Return the same hash under the key that writes today; None where it does not open."""
    encoded = _open_hash(sealed, card_number)
    return None if encoded is None else _seal_hash(encoded, card_number)


def fingerprints(pin: str, *, card_number: str) -> list[str]:
    """Return what tells two questions about a card and a PIN apart; nothing without the keys.

    One for each key, the first under the key that writes: so a question that was kept before the
    keys rotated is still known again.
    """
    message = _bound_to(card_number) + b"\0" + pin.encode()
    return [
        hmac.new(_fingerprint_key(key), message, "sha256").hexdigest()
        for key in settings.PIN_KEYS.values()
    ]


def _fingerprint_key(key: bytes) -> bytes:
    """Return a key for fingerprints alone, from the one that seals: each use has its own."""
    return hmac.digest(key, b"portal pin fingerprint", "sha256")


# First days of the eras in which a living member can have been born.
_ERAS = (date(2019, 5, 1), date(1989, 1, 8), date(1926, 12, 25), date(1912, 7, 30))


def _forms_of_birth_date(born: date) -> Iterator[str]:
    """Yield every way to write a birth date in four digits, by both calendars."""
    month, day = f"{born:%m}", f"{born:%d}"
    yield f"{born:%Y}"
    yield month + day
    yield day + month
    years = [f"{born:%y}"]
    years += [f"{born.year - era.year + 1:02}" for era in _ERAS if born >= era][:1]
    for year in years:
        yield from (year + month, month + year, year + day, day + year)


def _is_run(pin: str) -> bool:
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return steps in ({1}, {9})


def validate_choice(
    pin: str, *, birth_date: date, phone: str, card_number: str, member_number: str
) -> None:
    """Raise ValidationError, with the reason, where a member may not choose this PIN.

    Refused is what a finder of the purse tries first (domain.md: a bank's published list):
    repeats, runs, the birth date, the phone's last four, four in a row of the numbers.
    """
    if len(set(pin)) == 1:
        raise ValidationError(_("Choose a PIN that is not one digit repeated."), code="repeat")
    if _is_run(pin):
        raise ValidationError(_("Choose a PIN whose digits are not in a row."), code="run")
    if pin in set(_forms_of_birth_date(birth_date)):
        raise ValidationError(_("Choose a PIN that is not your birth date."), code="birth_date")
    if phone.endswith(pin):
        raise ValidationError(
            _("Choose a PIN that is not the end of your phone number."), code="phone"
        )
    if pin in card_number or pin in member_number:
        raise ValidationError(
            _("Choose a PIN that does not stand in your card number or member number."),
            code="number",
        )
