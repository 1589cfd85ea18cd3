"""PINs: how one is kept, how it is compared, which ones may be chosen."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import date
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from members import pins
from tests.factories import with_check_digit

CARD, OTHER = with_check_digit("499000000000001"), with_check_digit("499000000000002")
OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32


# --- Keeping and comparing --------------------------------------------------------------------


def test_sealed_pin_matches_itself_only() -> None:
    sealed = pins.seal("2580", card_number=CARD)
    assert pins.matches(sealed, "2580", card_number=CARD)
    for wrong in ("2581", "0852", "", "25800", "２５８０"):
        assert not pins.matches(sealed, wrong, card_number=CARD)


def test_sealed_pin_shows_neither_the_pin_nor_a_hash() -> None:
    sealed = pins.seal("2580", card_number=CARD)
    assert "argon2" not in sealed
    assert b"argon2" not in b64decode(sealed.partition(":")[2])


def test_sealing_twice_gives_two_texts() -> None:
    assert pins.seal("2580", card_number=CARD) != pins.seal("2580", card_number=CARD)


def test_row_copied_to_another_card_does_not_open() -> None:
    sealed = pins.seal("2580", card_number=CARD)
    assert not pins.matches(sealed, "2580", card_number=OTHER)
    assert pins.reseal(sealed, card_number=OTHER) is None


def test_empty_seal_matches_nothing() -> None:
    for pin in ("", "0000", "nobody's"):
        assert not pins.matches("", pin, card_number=CARD)


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_seal_that_was_tampered_with_does_not_open(place: int, flip: int) -> None:
    version, _colon, body = SEALED.partition(":")
    raw = bytearray(b64decode(body))
    raw[place % len(raw)] ^= flip
    tampered = f"{version}:{b64encode(bytes(raw)).decode()}"
    assert not pins.matches(tampered, "2580", card_number=CARD)


def test_fingerprints_take_a_key_of_their_own(settings: Any) -> None:
    first, second = settings.PIN_KEYS["v1"], b"another key, of thirty-two bytes"
    settings.PIN_KEYS = {"v1": first, "v2": second}
    made = pins.fingerprints("2580", card_number=CARD)
    message = b"portal card pin\0" + CARD.encode() + b"\0" + b"2580"
    for key, fingerprint in zip((first, second), made, strict=True):
        # Never under the key that seals, as it is.
        assert fingerprint != hmac.new(key, message, "sha256").hexdigest()
        own = hmac.new(key, b"portal pin fingerprint", "sha256").digest()
        assert fingerprint == hmac.new(own, message, "sha256").hexdigest()


SEALED = pins.seal("2580", card_number=CARD)


@pytest.mark.parametrize("sealed", ["v1:", "v9:AAAA", "nonsense", ":", "v1:AAAA"])
def test_what_is_no_seal_matches_nothing(sealed: str) -> None:
    assert not pins.matches(sealed, "2580", card_number=CARD)


# --- Keys -------------------------------------------------------------------------------------


def test_first_key_writes_and_all_keys_read(settings: Any) -> None:
    settings.PIN_KEYS = {"old": OLD_KEY}
    before = pins.seal("2580", card_number=CARD)
    settings.PIN_KEYS = {"new": NEW_KEY, "old": OLD_KEY}
    after = pins.seal("2580", card_number=CARD)
    assert (before.split(":")[0], after.split(":")[0]) == ("old", "new")
    for sealed in (before, after):
        assert pins.matches(sealed, "2580", card_number=CARD)


def test_key_rotates_without_anybodys_pin(settings: Any) -> None:
    settings.PIN_KEYS = {"old": OLD_KEY}
    before = pins.seal("2580", card_number=CARD)
    settings.PIN_KEYS = {"new": NEW_KEY, "old": OLD_KEY}
    after = pins.reseal(before, card_number=CARD)
    settings.PIN_KEYS = {"new": NEW_KEY}
    assert after
    assert pins.matches(after, "2580", card_number=CARD)
    assert not pins.matches(before, "2580", card_number=CARD)


def test_seal_is_useless_without_its_key(settings: Any) -> None:
    settings.PIN_KEYS = {"v1": OLD_KEY}
    sealed = pins.seal("2580", card_number=CARD)
    settings.PIN_KEYS = {"v1": NEW_KEY}
    assert not pins.matches(sealed, "2580", card_number=CARD)
    assert pins.reseal(sealed, card_number=CARD) is None


# --- Choosing ---------------------------------------------------------------------------------


def reason(
    pin: str,
    born: date = date(1983, 12, 31),
    phone: str = "09012340846",
    card: str = "4990000000000007",
    number: str = "172640000",
) -> str | None:
    """Return why the PIN is refused; None where it may be chosen."""
    try:
        pins.validate_choice(
            pin, birth_date=born, phone=phone, card_number=card, member_number=number
        )
    except ValidationError as error:
        return str(error.code)
    return None


@pytest.mark.parametrize("digit", "0123456789")
def test_one_digit_repeated_is_refused(digit: str) -> None:
    assert reason(digit * 4) == "repeat"


@pytest.mark.parametrize("pin", ["0123", "1234", "6789", "7890", "9012", "9876", "3210", "0987"])
def test_digits_in_a_row_are_refused(pin: str) -> None:
    assert reason(pin) == "run"


@pytest.mark.parametrize("pin", ["1983", "1231", "8312", "8331", "5812", "5831"])
def test_published_forms_of_a_birth_date_are_refused(pin: str) -> None:
    assert reason(pin) == "birth_date"


@pytest.mark.parametrize(
    ("born", "pin"),
    [
        (date(1926, 12, 24), "1512"),
        (date(1926, 12, 25), "0112"),
        (date(1989, 1, 7), "6401"),
        (date(1989, 1, 8), "0108"),
        (date(1989, 6, 15), "0106"),
        (date(2019, 4, 30), "3104"),
        (date(2019, 5, 1), "0105"),
        (date(2004, 2, 29), "1629"),
        (date(2004, 2, 29), "2902"),
        (date(2004, 2, 29), "0229"),
        (date(2004, 2, 29), "2004"),
        (date(2004, 2, 29), "0402"),
    ],
)
def test_years_of_the_japanese_eras_are_refused_too(born: date, pin: str) -> None:
    assert reason(pin, born=born) == "birth_date"


@settings(max_examples=15)
@given(born=st.dates(date(1900, 1, 1), date(2020, 12, 31)))
def test_every_birth_date_leaves_nearly_all_pins_to_choose(born: date) -> None:
    refused = {f"{pin:04}" for pin in range(10_000) if reason(f"{pin:04}", born=born)}
    assert f"{born:%Y}" in refused
    assert f"{born:%m%d}" in refused
    assert len(refused) < 100


def test_last_four_of_the_phone_are_refused() -> None:
    assert reason("0846") == "phone"
    assert reason("0846", phone="090-1234-0846") == "phone"
    assert reason("0846", phone="") is None


@pytest.mark.parametrize("pin", ["4990", "9900", "9000", "0007", "1726", "7264", "6400"])
def test_four_in_a_row_of_a_number_are_refused(pin: str) -> None:
    assert reason(pin) == "number"


@pytest.mark.parametrize("pin", ["7410", "2580", "1984", "1232", "0847", "1357", "1122"])
def test_other_pins_may_be_chosen(pin: str) -> None:
    assert reason(pin) is None
