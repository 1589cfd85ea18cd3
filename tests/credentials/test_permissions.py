"""Every role on every page of the admin: let in or 403, and every refused attempt on record.

A page that stands in no line of the table fails the test, so none is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db.models.functions import Now
from django.urls import URLPattern, get_resolver, reverse

from credentials import closure
from credentials.models import ApiClient, ApiKey, Closure, Event, IdentityCheck, OutboxMail
from members.models import Member, User
from tests.conftest import Browser
from tests.factories import MemberFactory, StaffFactory

pytestmark = pytest.mark.django_db

CALLS, STORE, AUDIT, ADMIN = "Call centre", "Store", "Auditor", "Administrator"
ROLES = (CALLS, STORE, AUDIT, ADMIN, "")
DESK = {CALLS, STORE}
NOBODY: set[str] = set()

# Who is let in. Django's own pages of a model: changelist, change and history go together.
TABLE: dict[str, set[str]] = {
    "overview": {AUDIT, ADMIN},
    "members_suspended": DESK,
    "member_verify": {CALLS},
    "member_hand_off": {CALLS},
    "member_tell": {CALLS},
    "member_prepare_pin_reset": {CALLS},
    "member_verify_in_person": {STORE},
    "member_pin_reset": {STORE},
    "member_suspend": DESK,
    "member_reinstate": DESK,
    "member_close": DESK,
    "member_withdraw_closure": DESK,
    "members_member_changelist": DESK,
    "members_member_change": DESK,
    "members_member_history": DESK,
    "credentials_closure_changelist": {*DESK, AUDIT},
    "credentials_closure_change": {*DESK, AUDIT},
    "credentials_closure_history": {*DESK, AUDIT},
    "credentials_identitycheck_changelist": {AUDIT},
    "credentials_identitycheck_change": {AUDIT},
    "credentials_identitycheck_history": {AUDIT},
    "credentials_event_changelist": {AUDIT},
    "credentials_event_change": {AUDIT},
    "credentials_event_history": {AUDIT},
    "record_export": {AUDIT},
    "credentials_outboxmail_changelist": {CALLS, AUDIT, ADMIN},
    "credentials_outboxmail_change": {CALLS, AUDIT, ADMIN},
    "credentials_outboxmail_history": {CALLS, AUDIT, ADMIN},
    "credentials_apiclient_changelist": {ADMIN},
    "credentials_apiclient_change": {ADMIN},
    "credentials_apiclient_history": {ADMIN},
    "credentials_apiclient_add": {ADMIN},
    "apiclient_make_key": {ADMIN},
    "credentials_apikey_changelist": {ADMIN},
    "credentials_apikey_change": {ADMIN},
    "credentials_apikey_history": {ADMIN},
    "members_user_changelist": {ADMIN},
    "members_user_change": {ADMIN},
    "members_user_history": {ADMIN},
    "members_user_add": {ADMIN},
    "auth_user_password_change": {ADMIN},
    "staff_reinstate": {ADMIN},
    "staff_second_factor": {ADMIN},
}
# Nobody adds, changes or deletes by hand; groups are the superuser's.
TABLE |= {
    f"{model}_{action}": NOBODY
    for model, actions in {
        "members_member": ["add", "delete"],
        "members_user": ["delete"],
        "credentials_closure": ["add", "delete"],
        "credentials_identitycheck": ["add", "delete"],
        "credentials_event": ["add", "delete"],
        "credentials_outboxmail": ["add", "delete"],
        "credentials_apiclient": ["delete"],
        "credentials_apikey": ["add", "delete"],
        "auth_group": ["changelist", "add", "change", "delete", "history"],
    }.items()
    for action in actions
}
ONLY_BY_POST = {"record_export"}
# About oneself, or the way in: for whoever is staff.
FOR_ALL_STAFF = {
    "index",
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "second_factor",
    "second_factor_enrol",
    "second_factor_recovery_codes",
    "autocomplete",
    "jsi18n",
    "view_on_site",
    "app_list",
}
ACTS = [
    "member_verify",
    "member_hand_off",
    "member_tell",
    "member_verify_in_person",
    "member_pin_reset",
    "member_prepare_pin_reset",
    "member_suspend",
    "member_reinstate",
    "member_close",
    "member_withdraw_closure",
    "credentials_closure_change",
]


def pages(resolver: Any) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        yield from pages(entry) if hasattr(entry, "url_patterns") else [entry]


@pytest.fixture
def pks() -> Callable[[str], Any]:
    """Return a function that gives the row a page is about."""
    member: Member = MemberFactory()
    closure.ask(member=member, certificate=False, source="")
    client = ApiClient.objects.create(name="ATM switch")
    event = Event.objects.first()
    assert event
    staff = StaffFactory()
    rows = {
        "member": member.pk,
        "user": staff.pk,
        "closure": Closure.objects.get().pk,
        "identitycheck": IdentityCheck.objects.create(
            member=member, by=staff, channel="phone", passed=False
        ).pk,
        "event": event.pk,
        "outboxmail": OutboxMail.objects.all()[0].pk,
        "apiclient": client.pk,
        "apikey": ApiKey.objects.create(
            client=client,
            prefix="abc",
            key_digest="0" * 64,
            scope="card-verifications",
            expires_at=Now(),
        ).pk,
        "group": Group.objects.get(name=STORE).pk,
    }

    def pk_of(name: str) -> Any:
        if name.startswith("staff_"):
            return rows["user"]
        return next(rows[model] for model in rows if f"_{model}_" in f"_{name}_")

    return pk_of


def address(name: str, pk_of: Callable[[str], Any]) -> str:
    """Return where a page is."""
    if name.endswith(("_changelist", "_add")) or name in {
        "overview",
        "members_suspended",
        "record_export",
    }:
        return reverse(f"admin:{name}")
    return reverse(f"admin:{name}", args=[pk_of(name)])


def refused_on_record(staff: User, path: str, method: str) -> int:
    events = Event.objects.filter(act=Event.Act.ACCESS_REFUSED, by=f"staff:{staff.username}")
    return events.filter(details__path=path, details__method=method).count()


def test_every_page_stands_in_the_table() -> None:
    [admin] = [r for r in get_resolver().url_patterns if getattr(r, "namespace", "") == "admin"]
    names = {page.name for page in pages(admin) if page.name}
    assert names - set(TABLE) - FOR_ALL_STAFF == set()


@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_every_page(
    role: str, staff_browser: Callable[..., Browser], pks: Callable[[str], Any]
) -> None:
    browser = staff_browser(role)
    wrong = []
    for name, allowed in TABLE.items():
        path = address(name, pks)
        method = "POST" if name in ONLY_BY_POST else "GET"
        answer = browser.generic(method, path)
        let_in = answer.status_code == 200 or (
            answer.status_code == 302 and "login" not in answer["Location"]
        )
        on_record = refused_on_record(browser.staff, path, method)
        expected = (True, 0) if role in allowed else (False, 1)
        if (let_in, on_record) != expected or (not let_in and answer.status_code != 403):
            wrong.append(f"{name}: {answer.status_code}, on record {on_record}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_no_act_is_done_by_a_role_that_may_not(
    role: str, staff_browser: Callable[..., Browser], pks: Callable[[str], Any]
) -> None:
    browser = staff_browser(role)
    typed = {
        "answered": ["name", "email", "phone"],
        "code": "123456",
        "reason": "asked for it",
        "document": "passport",
        "place": "Shibuya",
        "no_balance": "on",
        "nothing_open": "on",
    }
    may_close = {CALLS, STORE}
    for name in ACTS:
        if role in (may_close if name == "credentials_closure_change" else TABLE[name]):
            continue
        path = address(name, pks)
        assert browser.post(path, typed).status_code == 403, name
        assert refused_on_record(browser.staff, path, "POST") == 1, name
    acts = Event.objects.filter(by=f"staff:{browser.staff.username}")
    done = set(acts.values_list("act", flat=True))
    assert done <= {"signed_in", "password_right", "access_refused"}


def test_the_record_names_the_permission_and_the_member(
    staff_browser: Callable[..., Browser],
) -> None:
    member = MemberFactory()
    browser = staff_browser(STORE)
    browser.get(reverse("admin:member_tell", args=[member.pk]))
    event = Event.objects.get(act=Event.Act.ACCESS_REFUSED)
    assert event.whom == member.number
    assert event.details["wanted"] == "members.tell_member_number"


def test_members_are_no_staff(client: Browser) -> None:
    member = MemberFactory()
    client.force_login(member.user)
    for name in ("members_suspended", "members_member_changelist", "index"):
        answer = client.get(reverse(f"admin:{name}"))
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]
