"""Whatever is sent to whatever page by whoever: a clear answer, never a 500, and nothing lost.

A quick run tries the same examples every time; `HOSTILE=20000 python -m pytest tests/hostile`
tries so many new ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings as portal
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from credentials import api_keys, closure, pin_reset
from credentials.models import ApiClient, ApiKey
from credentials.verification import PERMISSIONS
from portal.requests import Request
from tests.conftest import Browser
from tests.factories import MemberFactory, StaffFactory
from tests.hostile import inputs
from tests.hostile.places import Form, addresses, field_names, filled_in, forms_of
from tests.pages import as_staff, fail, verify, with_card

pytestmark = [
    pytest.mark.django_db,
    # A field of a megabyte is one.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]
MANY = int(os.environ.get("HOSTILE", "0"))
ROLES = ["Call centre", "Store", "Auditor", "Administrator"]
WHO = ["nobody", "member", *ROLES, "superuser"]
HOW = settings(
    max_examples=MANY or 600,
    derandomize=not MANY,
    # To find the shortest example takes minutes: only the long run does.
    phases=set(Phase) - (set() if MANY else {Phase.shrink, Phase.explain}),
    suppress_health_check=list(HealthCheck),
)
# Never written back into a page.
ODD_KEYS = ("", "0", "-1", "9" * 30, "x", "%00", "%ff", "1/change")
SECRET = {"password", "hidden", "submit", "button"}


class Everybody:
    """One visitor of each kind, signed in; and something of everything to be seen."""

    def __init__(self) -> None:
        self.member = MemberFactory(web_id="Hanako1983")
        other = MemberFactory()
        staff = {role: StaffFactory(role=role) for role in ROLES}
        staff["superuser"] = StaffFactory(is_superuser=True)
        fail(other, 5)
        self.cookies = {"nobody": "", "member": _cookie(self._as_member())}
        self.cookies |= {who: _cookie(as_staff(user)) for who, user in staff.items()}
        for user in staff.values():
            if any(user.has_perm(way) for way in PERMISSIONS.values()):
                verify(self.member, user)
        closure.ask(member=other, certificate=True, source="")
        pin_reset.prepare_for_oneself(member=self.member, source="")
        client = ApiClient.objects.create(name="card host")
        new = api_keys.make(
            client=client,
            scope=ApiKey.Scope.CARD_VERIFICATIONS,
            days=None,
            reason="tests",
            by=staff["Administrator"],
        )
        assert isinstance(new, api_keys.NewKey)
        self.key = new.text

    def _as_member(self) -> Browser:
        client = Browser()
        assert with_card(client, self.member).status_code == 302
        return client

    def browser(self, who: str) -> Browser:
        """Return a new browser in which `who` is signed in, as in production: errors are 500s."""
        client = Browser(HTTP_ACCEPT_LANGUAGE="en")
        client.raise_request_exception = False
        if self.cookies[who]:
            client.cookies[portal.SESSION_COOKIE_NAME] = self.cookies[who]
        return client


def _cookie(client: Browser) -> str:
    return client.cookies[portal.SESSION_COOKIE_NAME].value


@pytest.fixture
def everybody(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Everybody:
    # As portal.wsgi has it.
    monkeypatch.setattr("django.test.client.WSGIRequest", Request)
    settings.SOURCE_FAILURE_LIMIT = settings.SOURCE_ACCOUNT_LIMIT = "1000000/hour"
    return Everybody()


@contextmanager
def undone() -> Iterator[None]:
    """Undo in the end what came of it: nobody is signed out for the next one."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


PAGES = addresses()
NAMES = sorted({*field_names(), "next", "language", "resend", "withdraw", "approve", "people"})


def test_the_pages_and_fields_are_found() -> None:
    assert {"/", "/login/", "/pin/", "/api/v1/card-verifications", "/language/"} <= set(PAGES)
    assert "/admin/members/member/<pk>/pin-reset/" in PAGES
    assert {"card_number", "pin", "ticket", "web_id", "reason", "username"} <= set(NAMES)


def test_every_page_opens_for_everybody_or_says_why_not(everybody: Everybody) -> None:
    for who in WHO:
        for page in PAGES:
            odd = "<" in page and who in ("superuser", "Store")
            for value in ODD_KEYS if odd else ("",):
                with undone():
                    answer = everybody.browser(who).get(filled_in(page, value))
                assert answer.status_code < 500, (who, page, value)


@HOW
@given(
    who=st.sampled_from(WHO),
    page=st.sampled_from(PAGES),
    value=st.one_of(st.just(b""), st.just(b""), inputs.texts),
    method=inputs.methods,
    query=inputs.pairs(inputs.QUERY),
    body=inputs.bodies(NAMES),
    headers=inputs.headers,
    with_key=st.booleans(),
)
def test_nothing_that_is_sent_breaks_a_page(
    everybody: Everybody,
    who: str,
    page: str,
    value: bytes,
    method: str,
    query: str,
    body: tuple[str, bytes],
    headers: dict[str, str],
    with_key: bool,
) -> None:
    kind, content = body
    if with_key and "/api/" in page:
        headers = {"HTTP_AUTHORIZATION": f"Bearer {everybody.key}", **headers}
    with undone():
        answer = everybody.browser(who).generic(
            method,
            filled_in(page, inputs.quoted(value)),
            content,
            content_type=kind,
            QUERY_STRING=query,
            **headers,
        )
        said = answer.getvalue() if answer.streaming else answer.content
    assert answer.status_code < 500, (who, method, page, answer.exc_info)
    assert b"Traceback" not in said
    if answer.status_code == 400 and method != "HEAD":
        assert b"<main" in said or b'"status"' in said, "no word of what to do"


def test_what_was_typed_stays_on_the_page_beside_what_is_wrong(everybody: Everybody) -> None:
    """Every form that anybody sees: each field in turn is wrong, and all others come back."""
    seen: set[tuple[str, frozenset[str]]] = set()
    for who in WHO:
        for page in PAGES:
            path = filled_in(page)
            with undone():
                first = everybody.browser(who).get(path)
            if first.status_code != 200 or not first["Content-Type"].startswith("text/html"):
                continue
            for form in forms_of(first.content.decode()):
                if form.method != "post" or (page, frozenset(form.names)) in seen:
                    continue
                seen.add((page, frozenset(form.names)))
                for wrong in sorted(form.names - {"csrfmiddlewaretoken"}):
                    _assert_nothing_lost(everybody.browser(who), path, form, wrong)
    assert len(seen) > 20


def _assert_nothing_lost(client: Browser, path: str, form: Form, wrong: str) -> None:
    typed: dict[str, str] = {}
    for one in form.inputs:
        if one.kind in ("text", "textarea", "email", "search", "number", "datetime-local"):
            typed[one.name] = "kept 123" if one.name != wrong else "\u202e'\"<&>" * 3
        elif one.choices:
            typed[one.name] = one.choices[-1] if one.name != wrong else "no such choice"
        elif one.kind in ("checkbox", "radio"):
            typed[one.name] = one.value or "on"
        elif one.kind in ("password", "hidden"):
            typed[one.name] = one.value or "correct horse"
    with undone():
        answer = client.post(form.action if form.action.startswith("/") else path, typed)
    assert answer.status_code < 500, (path, wrong)
    if answer.status_code != 200 or answer.streaming:
        return
    for again in forms_of(answer.content.decode()):
        if not form.names <= again.names:
            continue
        for one in again.inputs:
            where = f"{path}: {one.name}, with {wrong} wrong"
            if one.kind in SECRET or one.name == wrong or one.name not in typed:
                continue
            if one.kind in ("checkbox", "radio"):
                assert one.chosen or (one.value or "on") != typed[one.name], where
            else:
                assert one.value == typed[one.name] or one.name == "code", where
