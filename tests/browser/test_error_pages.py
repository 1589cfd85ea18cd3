"""The pages for what went wrong: in the visitor's language, with a way on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from credentials.views import CardSignInView
from tests.browser.equipment import in_pairs
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser


@in_pairs
def test_an_address_that_is_none(visitor: Visitor) -> None:
    visitor.open("/no/such/page/")
    visitor.is_at("/no/such/page/", "There is no such page")
    visitor.follow("I can't sign in")
    visitor.is_at("/help/")


@in_pairs
def test_a_form_without_its_cookie(visitor: Visitor) -> None:
    visitor.open("/login/")
    visitor.context.clear_cookies()
    visitor.press("Sign in")
    visitor.is_at("/login/", "The form had been open too long")
    visitor.follow("Go to the top page")
    visitor.is_at("/login/?next=/")


@in_pairs
def test_a_page_that_is_for_others(staff: Callable[[str], Visitor]) -> None:
    auditor = staff("Auditor")
    auditor.open("/admin/members/member/")
    auditor.is_at("/admin/members/member/", "You cannot open this page")


@in_pairs
@pytest.mark.parametrize(
    ("error", "heading"),
    [
        (OperationalError, "The service is very busy or resting for a moment"),
        (RuntimeError, "Something went wrong on our side"),
    ],
)
def test_our_own_faults(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, error: type[Exception], heading: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(CardSignInView, "get", fail)
    visitor.open("/login/")
    visitor.is_at("/login/", heading)
    monkeypatch.undo()
    visitor.follow("Try again")
    visitor.is_at("/login/?next=/", "Sign in")
