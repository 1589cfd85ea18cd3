"""What every answer tells the browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from credentials.models import Event
from tests.conftest import Browser
from tests.factories import MemberFactory, StaffFactory
from tests.pages import as_staff, browser, fail, verify, with_card

pytestmark = pytest.mark.django_db

PUBLIC = (
    "/login/",
    "/login/web-id/",
    "/web-id/register/",
    "/web-id/register/done/",
    "/pin/",
    "/pin/done/",
    "/help/",
    "/admin/login/",
)
OWN = ("/", "/member-number/memo/")


def member() -> Browser:
    client = browser()
    with_card(client, MemberFactory())
    return client


def every_page() -> list[tuple[str, Any]]:
    """Return an answer of every kind: pages, forms, redirects, refusals, errors, JSON."""
    visitor, own, staff = browser(), member(), as_staff(StaffFactory(is_superuser=True))
    visitor.raise_request_exception = False
    suspended = MemberFactory()
    fail(suspended, 1)
    answers = [(path, visitor.get(path)) for path in PUBLIC]
    answers += [(path, own.get(path)) for path in OWN]
    answers += [("to sign in", visitor.get("/"))]
    answers += [("refused", with_card(visitor, suspended, pin="0099"))]
    answers += [("404", visitor.get("/nowhere/")), ("405", visitor.get("/logout/"))]
    answers += [("400", visitor.get("/login/?next=%00"))]
    answers += [("healthz", visitor.get("/healthz/")), ("readyz", visitor.get("/readyz/"))]
    member_page = f"/admin/members/member/{suspended.pk}"
    staffs = ["/admin/", "/admin/members/member/", f"{member_page}/change/"]
    staffs += [f"{member_page}/reinstate/", f"{member_page}/pin-reset/", "/admin/password_change/"]
    answers += [(path, staff.get(path)) for path in staffs]
    ticket = {"document": "passport", "place": "Ueno"}
    answers += [("ticket", staff.post(f"{member_page}/pin-reset/", ticket))]
    strict = browser()
    strict.handler.enforce_csrf_checks = True
    answers += [("403", strict.post("/login/"))]
    return answers


def test_every_answer_carries_the_rules_for_the_browser() -> None:
    for path, answer in every_page():
        assert answer["Cache-Control"] == "no-store", path
        assert answer["X-Frame-Options"] == "DENY", path
        assert answer["X-Content-Type-Options"] == "nosniff", path
        assert answer["Referrer-Policy"] == "same-origin", path
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin", path
        for feature in ("camera", "geolocation", "microphone"):
            assert f"{feature}=()" in answer["Permissions-Policy"], path
        hsts = answer["Strict-Transport-Security"]
        assert int(re.findall(r"max-age=(\d+)", hsts)[0]) >= 31536000, path
        assert "includeSubDomains" in hsts, path


def test_every_page_has_a_policy_without_unsafe_sources() -> None:
    for path, answer in every_page():
        policy = {
            directive.split()[0]: directive.split()[1:]
            for directive in answer["Content-Security-Policy"].split(";")
        }
        assert "unsafe" not in answer["Content-Security-Policy"], path
        assert policy["default-src"] == ["'none'"], path
        assert policy["script-src"] == policy["style-src"] == ["'self'"], path
        assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"], path
        assert policy["form-action"] == ["'self'"], path


def test_no_page_of_ours_needs_what_the_policy_forbids() -> None:
    for path, answer in every_page():
        page = answer.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", page), path
        assert not re.search(r"\son\w+=\"|\sstyle=\"|<style|javascript:", page), path
        hosts = re.findall(r"(?:src|href|action)=\"(https?:)?//[^\"]*", page)
        assert not hosts, path


def test_no_page_names_its_software() -> None:
    for path, answer in every_page():
        assert "Server" not in answer.headers, path
        assert "X-Powered-By" not in answer.headers, path


def test_cookies_are_for_this_host_only_and_out_of_reach_of_scripts() -> None:
    client = browser()
    client.get("/login/")
    with_card(client, MemberFactory())
    client.post("/language/", {"language": "en", "next": "/"})
    store = StaffFactory(role="Store")
    staff = as_staff(store)
    suspended = MemberFactory()
    fail(suspended, 5)
    verify(suspended, store)
    path = f"/admin/members/member/{suspended.pk}/reinstate/"
    assert staff.post(path, {"reason": "Called back"}).status_code == 302
    names = set()
    for jar in (client.cookies, staff.cookies):
        for name, morsel in jar.items():
            names.add(name)
            assert name.startswith("__Host-"), name
            assert morsel["secure"], name
            assert morsel["httponly"], name
            assert morsel["samesite"] == "Lax", name
            assert (morsel["path"], morsel["domain"]) == ("/", ""), name
    assert names == {"__Host-session", "__Host-csrf", "__Host-language", "__Host-devices"}


@pytest.mark.parametrize("proto", ["http", "", "HTTPS,http"])
def test_plain_http_is_redirected(proto: str) -> None:
    client = Client(headers={"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": proto})
    for path in ("/login/", "/", "/admin/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (301, f"https://testserver{path}")
        assert not answer.cookies


def test_nothing_typed_over_plain_http_is_looked_at() -> None:
    answer = with_card_over_http()
    assert answer.status_code == 301
    assert not Event.objects.exists()


def with_card_over_http() -> Any:
    number = MemberFactory().card.number
    return Client().post("/login/", {"card_number": number, "pin": "0099"})


def test_pages_vary_by_language_and_say_theirs() -> None:
    for language in ("ja", "en"):
        answer = browser(language).get("/login/")
        assert answer["Content-Language"] == language
        assert f'<html lang="{language}"' in answer.content.decode()
        assert "Accept-Language" in answer["Vary"]


def test_chosen_language_stays() -> None:
    client = browser("ja")
    client.post("/language/", {"language": "en", "next": "/login/"})
    assert 'lang="en"' in client.get("/login/").content.decode()
