"""Numbers and names as people type them, and what makes one well-formed."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from hypothesis import assume, given
from hypothesis import strategies as st

from members import numbers
from tests.factories import with_check_digit

digits = st.text("0123456789", min_size=1, max_size=16)
fifteen = st.text("0123456789", min_size=15, max_size=15)
separators = st.text(" 　\t-－ー−—・．.‐", max_size=3)
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def code_of(validate: object, value: str) -> str | None:
    try:
        validate(value)  # type: ignore[operator]
    except ValidationError as error:
        return str(error.code)
    return None


@given(number=digits, between=st.lists(separators, min_size=17, max_size=17), wide=st.booleans())
def test_digits_are_read_whatever_the_width_and_the_separators(
    number: str, between: list[str], wide: bool
) -> None:
    typed = between[0] + "".join(
        digit + gap for digit, gap in zip(number, between[1:], strict=False)
    )
    assert numbers.plain_digits(typed.translate(WIDE) if wide else typed) == number


@given(text=st.text(max_size=40))
def test_reading_twice_changes_nothing_more(text: str) -> None:
    once = numbers.plain_digits(text)
    assert numbers.plain_digits(once) == once
    assert numbers.plain_email(numbers.plain_email(text)) == numbers.plain_email(text)
    assert numbers.plain_kana(numbers.plain_kana(text)) == numbers.plain_kana(text)


@given(text=st.text(max_size=20))
def test_only_ascii_digits_of_the_exact_length_are_a_number(text: str) -> None:
    expected = len(text) == 9 and all(c in "0123456789" for c in text)
    assert numbers.is_digits(text, 9) == expected


@given(body=fifteen)
def test_exactly_one_digit_completes_a_card_number(body: str) -> None:
    valid = [digit for digit in "0123456789" if numbers.has_valid_check_digit(body + digit)]
    assert valid == [with_check_digit(body)[-1]]


@given(body=fifteen, place=st.integers(0, 15), other=st.sampled_from("0123456789"))
def test_any_one_mistyped_digit_is_noticed(body: str, place: int, other: str) -> None:
    number = with_check_digit(body)
    assume(number[place] != other)
    assert not numbers.has_valid_check_digit(number[:place] + other + number[place + 1 :])


@given(body=fifteen, place=st.integers(0, 14))
def test_two_digits_typed_the_wrong_way_round_are_noticed(body: str, place: int) -> None:
    number = with_check_digit(body)
    pair = number[place : place + 2]
    assume(pair[0] != pair[1])
    # The one exchange that this check digit does not notice, by its definition.
    assume(set(pair) != {"0", "9"})
    swapped = number[:place] + pair[::-1] + number[place + 2 :]
    assert not numbers.has_valid_check_digit(swapped)


@pytest.mark.parametrize("number", ["4111111111111111", "5500005555555559", "3530111333300000"])
def test_published_examples_have_a_valid_check_digit(number: str) -> None:
    assert numbers.has_valid_check_digit(number)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("4111111111111111", None),
        ("4111111111111112", "check_digit"),
        ("123456789", "member_number"),
        ("411111111111111", "card_number"),
        ("41111111111111111", "card_number"),
        ("411111111111111x", "card_number"),
        ("４１１１１１１１１１１１１１１１", "card_number"),
        ("", "card_number"),
    ],
)
def test_card_number_is_judged_by_its_shape(number: str, code: str | None) -> None:
    assert code_of(numbers.validate_card_number, number) == code


@pytest.mark.parametrize(
    ("number", "valid"),
    [("123456789", True), ("012345678", True), ("12345678", False), ("1234567890", False)],
)
def test_member_number_has_nine_digits(number: str, valid: bool) -> None:
    assert (code_of(numbers.validate_member_number, number) is None) == valid


def test_issued_member_numbers_have_nine_digits_and_no_leading_zero() -> None:
    issued = [numbers.issue_member_number() for _ in range(500)]
    assert all(numbers.is_digits(number, 9) and number[0] != "0" for number in issued)
    assert len(set(issued)) > 490


def test_issued_member_numbers_are_not_in_sequence() -> None:
    issued = [int(numbers.issue_member_number()) for _ in range(50)]
    assert issued != sorted(issued)


@pytest.mark.parametrize("pin", ["", "123", "12345", "12a4", "１２３４", "²²²²", "-123"])
def test_pin_that_is_not_four_digits_is_none(pin: str) -> None:
    assert code_of(numbers.validate_pin_shape, pin) == "pin"


@given(pin=st.integers(0, 9999))
def test_any_four_digits_are_a_pin(pin: int) -> None:
    assert code_of(numbers.validate_pin_shape, f"{pin:04}") is None


@pytest.mark.parametrize("name", ["abcdefg1", "1abcdefg", "A1" * 16, "a1b2c3d4"])
def test_web_id_within_the_rules_is_one(name: str) -> None:
    assert code_of(numbers.validate_web_id, name) is None


@pytest.mark.parametrize(
    "name",
    ["abcdef1", "a1" * 16 + "x", "abcdefgh", "12345678", "abc defg1", "abcdefg１", "abcdefg1\n"],
)
def test_web_id_outside_the_rules_is_none(name: str) -> None:
    assert code_of(numbers.validate_web_id, name) == "web_id"


@given(name=st.from_regex(r"[A-Za-z0-9]{8,32}", fullmatch=True))
def test_web_id_never_has_the_shape_of_a_number(name: str) -> None:
    if code_of(numbers.validate_web_id, name) is None:
        assert not name.isdigit()
        assert "@" not in name


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("やまだ はなこ", "ヤマダ ハナコ"),
        ("ﾔﾏﾀﾞ　ﾊﾅｺ", "ヤマダ ハナコ"),
        ("  ヤマダ   ハナコ ", "ヤマダ ハナコ"),
        ("ジョン・スミス", "ジョン・スミス"),
        ("ゔぃくとりあ", "ヴィクトリア"),
    ],
)
def test_kana_is_read_in_one_form(typed: str, plain: str) -> None:
    assert numbers.plain_kana(typed) == plain


@pytest.mark.parametrize(
    ("size", "grouped"), [(3, "123 456 789"), (4, "1234 5678 9"), (9, "123456789")]
)
def test_digits_are_grouped(size: int, grouped: str) -> None:
    assert numbers.grouped("123456789", size) == grouped
