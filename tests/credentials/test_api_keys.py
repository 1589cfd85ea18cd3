"""Keys of the card host: shown once, stored hashed, rotated with overlap, revoked at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.timezone import localtime

from credentials import api_keys
from credentials.models import ApiClient, ApiKey, Event
from credentials.refusals import Refusal, Why
from members.models import User
from tests.conftest import Browser
from tests.factories import StaffFactory

pytestmark = pytest.mark.django_db
SCOPE = ApiKey.Scope.CARD_VERIFICATIONS


@pytest.fixture
def host() -> ApiClient:
    return ApiClient.objects.create(name="card host")


@pytest.fixture
def administrator() -> User:
    return StaffFactory(role="Administrator")


def make(host: ApiClient, by: User, **how: Any) -> Any:
    return api_keys.make(
        client=host, by=by, **{"scope": SCOPE, "days": None, "reason": "rotation", **how}
    )


def test_a_key_opens_and_is_kept_as_a_hash(host: ApiClient, administrator: User) -> None:
    new = make(host, administrator)
    assert api_keys.authenticate(new.text) == new.key
    assert new.text.startswith(new.key.prefix)
    # 43 letters of 6 bits.
    assert len(new.text) == len(new.key.prefix) + 1 + 43
    secret = new.text.removeprefix(new.key.prefix + "_")
    assert secret not in repr([*ApiKey.objects.values(), *Event.objects.values()])
    event = Event.objects.get(act=Event.Act.API_KEY_MADE)
    assert (event.by, event.whom) == (f"staff:{administrator.username}", "api:card host")
    assert event.details["key"] == new.key.prefix


def test_keys_overlap_and_one_is_revoked_at_once(host: ApiClient, administrator: User) -> None:
    old, new = make(host, administrator), make(host, administrator)
    assert api_keys.authenticate(old.text)
    assert api_keys.revoke(old.key, reason="rotated", by=administrator) is None
    assert api_keys.authenticate(old.text) is None
    assert api_keys.authenticate(new.text) == new.key
    event = Event.objects.get(act=Event.Act.API_KEY_REVOKED)
    assert event.details == {"key": old.key.prefix, "reason": "rotated"}
    again = api_keys.revoke(old.key, reason="rotated", by=administrator)
    assert isinstance(again, Refusal)
    assert Event.objects.filter(act=Event.Act.API_KEY_REVOKED).count() == 1


def test_a_key_ends_with_its_days(host: ApiClient, administrator: User) -> None:
    new = make(host, administrator, days=30)
    assert new.key.expires_at - new.key.created_at == timedelta(days=30)
    ApiKey.objects.update(expires_at=F("expires_at") - timedelta(days=30, seconds=1))
    assert api_keys.authenticate(new.text) is None


def test_a_key_that_was_given_no_days_ends_after_a_year(
    host: ApiClient, administrator: User
) -> None:
    new = make(host, administrator, days=None)
    assert new.key.expires_at - new.key.created_at == timedelta(days=365)
    event = Event.objects.get(act=Event.Act.API_KEY_MADE)
    assert event.details["days"] == 365
    ApiKey.objects.update(expires_at=Now())
    assert api_keys.authenticate(new.text) is None


def test_a_client_that_is_not_active_has_no_valid_key(host: ApiClient, administrator: User) -> None:
    new = make(host, administrator)
    ApiClient.objects.update(is_active=False)
    assert api_keys.authenticate(new.text) is None
    host.refresh_from_db()
    assert isinstance(make(host, administrator), Refusal)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:12] + "_" + "A" * 43,
        lambda text: "msp_00000000" + text[12:],
        lambda text: text + "\n",
        lambda text: text + "é\ud800",
        lambda text: text[:12],
    ],
)
def test_what_is_not_the_key_opens_nothing(
    host: ApiClient, administrator: User, change: Callable[[str], str]
) -> None:
    assert api_keys.authenticate(change(make(host, administrator).text)) is None


@pytest.mark.parametrize(
    "how", [{"reason": " "}, {"scope": "everything"}, {"days": 0}, {"days": 731}]
)
def test_what_a_key_cannot_be(host: ApiClient, administrator: User, how: dict[str, Any]) -> None:
    assert isinstance(make(host, administrator, **how), Refusal)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("role", ["Call centre", "Store", "Auditor"])
def test_other_roles_are_refused_and_on_record(
    host: ApiClient, administrator: User, role: str
) -> None:
    key = make(host, administrator).key
    other = StaffFactory(role=role)
    for refusal in (make(host, other), api_keys.revoke(key, reason="why not", by=other)):
        assert isinstance(refusal, Refusal)
        assert refusal.why is Why.NOT_PERMITTED
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 1
    refused = Event.objects.filter(act=Event.Act.ACCESS_REFUSED)
    assert [event.by for event in refused] == [f"staff:{other.username}"] * 2


def test_in_the_admin_a_key_is_made_shown_once_and_revoked(
    staff_browser: Callable[..., Browser],
) -> None:
    browser = staff_browser("Administrator")
    assert browser.post("/admin/credentials/apiclient/add/", {"name": "ATM"}).status_code == 302
    host = ApiClient.objects.get()
    page = browser.get(f"/admin/credentials/apiclient/{host.pk}/change/")
    assert f"/admin/credentials/apiclient/{host.pk}/key/" in page.content.decode()

    address = f"/admin/credentials/apiclient/{host.pk}/key/"
    assert browser.get(address).status_code == 200
    shown = browser.post(address, {"scope": SCOPE, "days": "", "reason": "first key"})
    [text] = re.findall(r"msp_[a-z0-9]{8}_[\w-]{43}", shown.content.decode())
    key = api_keys.authenticate(text)
    assert key
    assert key.expires_at - key.created_at == timedelta(days=365)
    assert date_format(localtime(key.expires_at)) in shown.content.decode()
    assert shown["Cache-Control"] == "no-store"

    keys = "/admin/credentials/apikey/"
    for page in (
        browser.get(address),
        browser.get(keys),
        browser.get(f"{keys}{key.pk}/change/"),
        browser.get(f"/admin/credentials/apiclient/{host.pk}/change/"),
    ):
        assert page.status_code == 200
        assert text[13:] not in page.content.decode()
        assert key.key_digest not in page.content.decode()

    chosen = {"action": "revoke", "_selected_action": str(key.pk)}
    asked = browser.post(keys, {**chosen, "index": "0"})
    assert asked.status_code == 200
    assert api_keys.authenticate(text) == key
    assert browser.post(keys, {**chosen, "reason": ""}).status_code == 200
    assert api_keys.authenticate(text) == key
    assert browser.post(keys, {**chosen, "reason": "leaked"}).status_code == 302
    assert api_keys.authenticate(text) is None


def test_nothing_of_a_client_or_key_is_edited_or_deleted_by_hand(
    staff_browser: Callable[..., Browser], administrator: User, host: ApiClient
) -> None:
    key = make(host, administrator).key
    browser = staff_browser("Administrator")
    for address in (
        f"/admin/credentials/apiclient/{host.pk}/change/",
        f"/admin/credentials/apiclient/{host.pk}/delete/",
        f"/admin/credentials/apikey/{key.pk}/change/",
        f"/admin/credentials/apikey/{key.pk}/delete/",
        "/admin/credentials/apikey/add/",
    ):
        assert browser.post(address, {"name": "other", "post": "yes"}).status_code == 403, address
    host.refresh_from_db()
    assert host.name == "card host"


@pytest.mark.parametrize("role", ["Call centre", "Store", "Auditor"])
def test_in_the_admin_other_roles_see_no_keys(
    staff_browser: Callable[..., Browser], administrator: User, host: ApiClient, role: str
) -> None:
    key = make(host, administrator).key
    browser = staff_browser(role)
    made = {"scope": SCOPE, "days": "", "reason": "mine"}
    for answer in (
        browser.get("/admin/credentials/apikey/"),
        browser.get("/admin/credentials/apiclient/"),
        browser.get(f"/admin/credentials/apiclient/{host.pk}/key/"),
        browser.post(f"/admin/credentials/apiclient/{host.pk}/key/", made),
        browser.post(
            "/admin/credentials/apikey/",
            {"action": "revoke", "_selected_action": str(key.pk), "reason": "x"},
        ),
    ):
        assert answer.status_code == 403
    assert list(ApiKey.objects.filter(revoked_at__isnull=True)) == [key]
