"""Passwords that no list of common ones can hold, and those that only look like them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import override


@pytest.mark.parametrize(
    ("password", "english", "japanese"),
    [
        ("aaaaaaaaaaaa", "one piece repeated", "繰り返しではない"),
        ("passwordPASSWORD", "one piece repeated", "繰り返しではない"),
        ("abcabcabcabc", "one piece repeated", "繰り返しではない"),
        ("123456789012", "a run of letters", "連続した文字や数字ではない"),
        ("210987654321", "a run of letters", "連続した文字や数字ではない"),
        ("abcdefghijklm", "a run of letters", "連続した文字や数字ではない"),
    ],
)
def test_pattern_is_refused_with_its_reason(password: str, english: str, japanese: str) -> None:
    for language, told in (("en", english), ("ja", japanese)):
        with override(language), pytest.raises(ValidationError) as refused:
            validate_password(password)
        assert told in " ".join(refused.value.messages)


@pytest.mark.parametrize(
    ("password", "named"),
    [
        ("password1234", "password"),
        ("Password!2025!", "password"),
        ("member-service", "service, member"),
        ("メンバー会員パスワード", "パスワード, 会員"),
        ("aoyamaloan2025", "aoyamaloan"),
        ("kaiin.lender", "lender, kaiin"),
    ],
)
def test_word_of_the_service_with_a_few_signs_is_refused(
    password: str, named: str, settings: Any
) -> None:
    settings.LENDER_NAMES = ["Ａｏｙａｍａloan"]
    settings.ALLOWED_HOSTS = ["kaiin.lender.co.jp"]
    with override("en"), pytest.raises(ValidationError) as refused:
        validate_password(password)
    assert f"more than “{named}”" in " ".join(refused.value.messages)


@pytest.mark.parametrize("password", ["my password is a secret", "a member of the hiking club"])
def test_sentence_may_have_such_a_word_in_it(password: str) -> None:
    validate_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "several words in a row",
        "correct horse correct hat",
        "abcdefghijkm",
        "あさひのぼるやまのうえ1",
    ],
)
def test_what_only_begins_like_a_pattern_is_taken(password: str) -> None:
    validate_password(password)
