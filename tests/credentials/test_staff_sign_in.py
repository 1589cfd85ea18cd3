"""Who gets into the admin, for how long, on which side; and what ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver

from credentials.management.commands import demo
from credentials.models import Event, SecondFactor, Session
from credentials.sessions import SessionStore, rows
from members.models import User
from portal.urls import addresses
from tests.conftest import Browser, sign_in_staff
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory, app_code
from tests.pages import said

ROOT = Path(__file__).resolve().parent.parent.parent
ROLES = ["Call centre", "Store", "Auditor", "Administrator"]
OPEN = {
    "/admin/login/",
    "/admin/logout/",
    "/admin/second-factor/",
    "/admin/second-factor/enrol/",
}


def admin_addresses() -> list[str]:
    """Return every address of the admin, with something plausible for what varies."""

    def under(patterns: Any, prefix: str) -> Any:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from under(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern) and not route.endswith("$"):
                yield "/" + "".join(
                    part.split(">")[-1] if i == 0 else "1" + part.split(">")[-1]
                    for i, part in enumerate(route.split("<"))
                )

    return [a for a in under(get_resolver().url_patterns, "") if a.startswith("/admin/")]


def only_password(staff: User) -> Browser:
    browser = Browser()
    browser.post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    return browser


@pytest.mark.django_db
@pytest.mark.parametrize("enrolled", [True, False])
@pytest.mark.parametrize("role", [*ROLES, "superuser"])
def test_password_alone_opens_no_page(role: str, enrolled: bool) -> None:
    superuser = role == "superuser"
    staff = StaffFactory(
        role="" if superuser else role, is_superuser=superuser, second_factor=enrolled
    )
    browser = only_password(staff)
    guarded = [address for address in admin_addresses() if address not in OPEN]
    assert len(guarded) > 15
    for address in guarded:
        for ask in (browser.get, browser.post):
            answer = ask(address)
            sent_to_sign_in = answer.status_code == 302 and "login" in answer["Location"]
            assert sent_to_sign_in or answer.status_code in (403, 404, 405), address
    assert browser.get("/")["Location"].startswith("/login/")
    assert "_auth_user_id" not in browser.session


@pytest.mark.django_db
def test_session_of_staff_without_the_second_step_opens_nothing() -> None:
    """However a session may come to be: the admin asks for both steps."""
    browser = Browser()
    browser.force_login(StaffFactory(is_superuser=True))
    assert browser.get("/admin/").status_code == 302
    assert browser.get("/admin/members/user/").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
def test_both_steps_open_the_admin(staff_browser: Callable[..., Browser], role: str) -> None:
    browser = staff_browser(role)
    assert browser.get("/admin/").status_code == 200
    acts = list(Event.objects.order_by("pk").values_list("act", flat=True))[:2]
    assert acts == [Event.Act.PASSWORD_RIGHT, Event.Act.SIGNED_IN]
    assert Event.objects.filter(act=Event.Act.SIGNED_IN)[0].details["second"] == "app"


@pytest.mark.django_db
def test_the_page_asked_for_comes_after_both_steps() -> None:
    staff, browser = StaffFactory(role="Administrator"), Browser()
    answer = browser.get("/admin/members/user/")
    assert answer["Location"] == "/admin/login/?next=/admin/members/user/"
    fields = {"username": staff.username, "password": PASSWORD, "next": "/admin/members/user/"}
    second = browser.post("/admin/login/", fields)["Location"]
    assert second == "/admin/second-factor/?next=%2Fadmin%2Fmembers%2Fuser%2F"
    assert 'value="/admin/members/user/"' in browser.get(second).content.decode()
    answer = browser.post(second, {"code": app_code(), "next": "/admin/members/user/"})
    assert answer["Location"] == "/admin/members/user/"
    evil = Browser().post("/admin/login/?next=https://evil.example/", fields | {"next": ""})
    assert evil["Location"] == "/admin/second-factor/"


@pytest.mark.django_db
def test_session_key_changes_with_each_step() -> None:
    staff = StaffFactory()
    browser = only_password(staff)
    first = browser.session.session_key
    browser.post("/admin/second-factor/", {"code": app_code()})
    assert browser.session.session_key != first
    assert not rows(first).exists()


@pytest.mark.django_db
def test_second_step_waits_only_so_long(settings: Any) -> None:
    browser = only_password(StaffFactory())
    Session.objects.update(opened_at=Now() - seconds_(settings.SECOND_FACTOR_SECONDS + 1))
    assert browser.get("/admin/second-factor/")["Location"] == "/admin/login/"
    answer = browser.post("/admin/second-factor/", {"code": app_code()})
    assert answer["Location"] == "/admin/login/"
    assert browser.get("/admin/").status_code == 302


def seconds_(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["last_seen_at", "opened_at"])
def test_staff_sessions_are_shorter(
    staff_browser: Callable[..., Browser], settings: Any, column: str
) -> None:
    settings.STAFF_SESSION_IDLE_SECONDS = 300
    settings.STAFF_SESSION_ABSOLUTE_SECONDS = 300
    member, staff = MemberFactory(), staff_browser("Store")
    visitor = Browser()
    visitor.post("/login/", {"card_number": member.card.number, "pin": PIN})
    Session.objects.update(**{column: F(column) - seconds_(290)})
    assert staff.get("/admin/").status_code == 200
    Session.objects.update(**{column: Now() - seconds_(310)})
    assert staff.get("/admin/").status_code == 302
    assert visitor.get("/").status_code == 200


@pytest.mark.django_db
def test_old_sessions_are_swept_by_whose_they_are(
    staff_browser: Callable[..., Browser], settings: Any
) -> None:
    settings.STAFF_SESSION_IDLE_SECONDS = 300
    member = MemberFactory()
    staff_browser("Store")
    Browser().post("/login/", {"card_number": member.card.number, "pin": PIN})
    Session.objects.update(last_seen_at=Now() - seconds_(310))
    SessionStore.clear_expired()
    assert [session.user for session in Session.objects.all()] == [member.user]


# --- What ends the sessions of staff --------------------------------------------------------

OWN_PASSWORD = "/admin/password_change/"
NEW = {"new_password1": "another long password", "new_password2": "another long password"}


@pytest.mark.django_db
def test_own_password_ends_the_other_sessions(staff_browser: Callable[..., Browser]) -> None:
    browser, other = staff_browser("Store"), Browser()
    sign_in_staff(other, browser.staff)
    assert browser.get(OWN_PASSWORD).status_code == 200
    answer = browser.post(OWN_PASSWORD, {"old_password": PASSWORD, **NEW})
    assert answer["Location"] == "/admin/password_change/done/"
    assert browser.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    event = Event.objects.get(act=Event.Act.STAFF_CHANGED)
    assert (event.by, event.details["fields"]) == (event.whom, ["password"])
    assert User.objects.get(pk=browser.staff.pk).check_password("another long password")


@pytest.mark.django_db
def test_wrong_old_password_is_counted(
    staff_browser: Callable[..., Browser], settings: Any
) -> None:
    browser = staff_browser("Store")
    for _try in range(settings.LOGIN_FAILURE_LIMIT):
        answer = browser.post(OWN_PASSWORD, {"old_password": "wrong", **NEW})
        assert answer.status_code == 200
    assert browser.get("/admin/").status_code == 302, "suspended"
    assert User.objects.get(pk=browser.staff.pk).check_password(PASSWORD)


@pytest.mark.django_db
@pytest.mark.parametrize("new", ["short", "password1234", "x" * 129])
def test_new_password_keeps_the_rules(staff_browser: Callable[..., Browser], new: str) -> None:
    browser = staff_browser("Store")
    typed = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert browser.post(OWN_PASSWORD, typed).status_code == 200
    assert User.objects.get(pk=browser.staff.pk).check_password(PASSWORD)


@pytest.mark.django_db
def test_changed_role_ends_sessions_and_is_on_record(
    staff_browser: Callable[..., Browser],
) -> None:
    administrator, colleague = staff_browser("Administrator"), staff_browser("Store")
    url = f"/admin/members/user/{colleague.staff.pk}/change/"
    typed = {"is_active": "on", "groups": [], "reason": "Moves to another branch"}
    for reason in ("", " "):
        assert administrator.post(url, typed | {"reason": reason}).status_code == 200
        assert colleague.get("/admin/").status_code == 200
    assert administrator.post(url, typed).status_code == 302
    assert colleague.get("/admin/").status_code == 302
    event = Event.objects.get(act=Event.Act.STAFF_CHANGED)
    assert event.by == f"staff:{administrator.staff.username}"
    assert event.whom == f"staff:{colleague.staff.username}"
    assert event.details == {
        "fields": ["groups"],
        "active": True,
        "roles": [],
        "reason": "Moves to another branch",
    }
    epoch = User.objects.get(pk=colleague.staff.pk).epoch
    administrator.post(url, typed)
    assert User.objects.get(pk=colleague.staff.pk).epoch == epoch, "nothing changed"


@pytest.mark.django_db
def test_closed_account_is_out_at_once(staff_browser: Callable[..., Browser]) -> None:
    administrator, colleague = staff_browser("Administrator"), staff_browser("Store")
    groups = [group.pk for group in colleague.staff.groups.all()]
    typed = {"groups": groups, "reason": "Left the company"}
    administrator.post(f"/admin/members/user/{colleague.staff.pk}/change/", typed)
    assert colleague.get("/admin/").status_code == 302
    assert Event.objects.get(act=Event.Act.STAFF_CHANGED).details["active"] is False


@pytest.mark.django_db
def test_new_member_of_staff_is_on_record(staff_browser: Callable[..., Browser]) -> None:
    typed = {
        "username": "new-colleague",
        "usable_password": "true",
        "password1": "a first password",
        "password2": "a first password",
    }
    administrator = staff_browser("Administrator")
    assert administrator.post("/admin/members/user/add/", typed).status_code == 200
    assert not User.objects.filter(username="new-colleague").exists()
    typed["reason"] = "New at the branch"
    assert administrator.post("/admin/members/user/add/", typed).status_code == 302
    event = Event.objects.get(act=Event.Act.STAFF_CHANGED)
    assert (event.whom, event.details["fields"]) == ("staff:new-colleague", ["added"])
    assert event.details["reason"] == "New at the branch"


@pytest.mark.django_db
def test_password_given_by_an_administrator(staff_browser: Callable[..., Browser]) -> None:
    administrator, colleague = staff_browser("Administrator"), staff_browser("Store")
    typed = {
        "usable_password": "true",
        "password1": "another long password",
        "password2": "another long password",
        "set-password": "1",
    }
    url = f"/admin/members/user/{colleague.staff.pk}/password/"
    assert administrator.post(url, typed).status_code == 200
    assert colleague.get("/admin/").status_code == 200
    typed["reason"] = "Forgot it, came to my desk"
    assert administrator.post(url, typed).status_code == 302
    assert colleague.get("/admin/").status_code == 302
    event = Event.objects.get(act=Event.Act.STAFF_CHANGED)
    assert event.details == {"fields": ["password"], "reason": "Forgot it, came to my desk"}
    own = f"/admin/members/user/{administrator.staff.pk}/password/"
    assert administrator.post(own, typed)["Location"] == OWN_PASSWORD


@pytest.mark.django_db
def test_password_of_an_administrators_opens_only_the_page_for_choosing_another() -> None:
    staff, lent = StaffFactory(role="Store"), "lent by an administrator"
    staff.set_password(lent)
    staff.password_is_temporary = True
    staff.save()
    browser = Browser()
    browser.post("/admin/login/", {"username": staff.username, "password": lent})
    browser.post("/admin/second-factor/", {"code": app_code()})
    for page in ("/admin/", "/admin/members/member/", "/admin/second-factor/recovery-codes/"):
        for answer in (browser.get(page), browser.post(page)):
            assert (answer.status_code, answer["Location"]) == (302, OWN_PASSWORD), page
    told = said("First choose a password that only you know.", "ja")
    assert told in browser.get(OWN_PASSWORD).content.decode()
    same = {"old_password": lent, "new_password1": lent, "new_password2": lent}
    assert browser.post(OWN_PASSWORD, same).status_code == 200
    assert browser.get("/admin/")["Location"] == OWN_PASSWORD
    assert browser.post(OWN_PASSWORD, {"old_password": lent, **NEW}).status_code == 302
    assert browser.get("/admin/members/member/").status_code == 200
    assert not User.objects.get(pk=staff.pk).password_is_temporary


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["add/", "{pk}/password/"])
def test_password_that_an_administrator_sets_is_a_temporary_one(
    staff_browser: Callable[..., Browser], page: str
) -> None:
    administrator, colleague = staff_browser("Administrator"), StaffFactory(role="Store")
    typed = {
        "username": "new-colleague",
        "usable_password": "true",
        "password1": "another long password",
        "password2": "another long password",
        "set-password": "1",
        "reason": "Came to my desk",
    }
    url = f"/admin/members/user/{page.format(pk=colleague.pk)}"
    assert administrator.post(url, typed).status_code == 302
    assert User.objects.get(password_is_temporary=True).check_password("another long password")


@pytest.mark.django_db
def test_nobody_changes_their_own_role(staff_browser: Callable[..., Browser]) -> None:
    browser = staff_browser("Administrator")
    before = sorted(browser.staff.groups.values_list("pk", flat=True))
    url = f"/admin/members/user/{browser.staff.pk}/change/"
    browser.post(url, {"groups": [1, 2, 3, 4]})
    assert sorted(browser.staff.groups.values_list("pk", flat=True)) == before
    assert User.objects.get(pk=browser.staff.pk).is_active


@pytest.mark.django_db
def test_administrator_lifts_a_colleagues_suspension(
    staff_browser: Callable[..., Browser], settings: Any
) -> None:
    administrator, colleague = staff_browser("Administrator"), StaffFactory()
    url = f"/admin/members/user/{colleague.pk}/reinstate/"
    typed = {"username": colleague.username, "password": "wrong"}
    for _try in range(settings.LOGIN_FAILURE_LIMIT):
        Browser().post("/admin/login/", typed)
    page = administrator.get(f"/admin/members/user/{colleague.pk}/change/").content.decode()
    assert url in page
    assert administrator.post(url, {"reason": ""}).status_code == 200
    assert administrator.post(url, {"reason": "called back at the branch"}).status_code == 302
    sign_in_staff(Browser(), colleague)
    assert Event.objects.get(act=Event.Act.REINSTATED).whom == f"staff:{colleague.username}"
    assert staff_browser("Store").post(url, {"reason": "x"}).status_code == 403


# --- The two sides --------------------------------------------------------------------------


def side(serve: str) -> ModuleType:
    module = ModuleType(f"urls_of_{serve}")
    module.urlpatterns = addresses(serve)  # type: ignore[attr-defined]
    module.handler400 = "portal.views.bad_request"  # type: ignore[attr-defined]
    module.handler500 = "portal.views.server_error"  # type: ignore[attr-defined]
    return module


@pytest.mark.django_db
def test_members_side_has_no_admin() -> None:
    member = MemberFactory()
    with override_settings(ROOT_URLCONF=side("members")):
        browser = Browser()
        for address in ("/admin/", "/admin/login/", "/admin/second-factor/"):
            assert browser.get(address).status_code == 404
            assert browser.post(address).status_code == 404
        browser.post("/login/", {"card_number": member.card.number, "pin": PIN})
        assert browser.get("/").status_code == 200
        assert browser.get("/healthz/").status_code == 200


@pytest.mark.django_db
def test_staff_side_has_no_members_pages() -> None:
    staff = StaffFactory(role="Store")
    with override_settings(ROOT_URLCONF=side("staff"), LOGIN_URL="admin:login"):
        browser = Browser()
        for address in ("/", "/login/", "/login/web-id/", "/web-id/register/", "/pin/", "/help/"):
            assert browser.get(address).status_code == 404
            assert browser.post(address).status_code == 404
        sign_in_staff(browser, staff)
        assert browser.get("/admin/").status_code == 200
        assert browser.get("/healthz/").status_code == 200


@pytest.mark.parametrize(
    ("serve", "found"), [("both", "both"), ("members", "members"), ("staff", "staff")]
)
def test_switch_is_read_from_the_environment(serve: str, found: str) -> None:
    program = (
        "import django; django.setup(); from django.urls import Resolver404, resolve\n"
        "def there(path):\n"
        "    try: return bool(resolve(path))\n"
        "    except Resolver404: return False\n"
        "sides = there('/login/'), there('/admin/login/')\n"
        "print({(True, True): 'both', (True, False): 'members', (False, True): 'staff'}[sides])\n"
    )
    environment = {**os.environ, "SERVE": serve, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == found, ran.stderr


def test_switch_refuses_what_it_does_not_know() -> None:
    environment = {**os.environ, "SERVE": "nobody", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "SERVE must be one of: both, members, staff." in ran.stderr


# --- At once, and at the console ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_of_one_code_at_once_one_wins() -> None:
    staff = StaffFactory(second_factor=True)
    browsers = [only_password(staff) for _browser in range(5)]
    code, opened, barrier = app_code(), [], threading.Barrier(5)

    def use(browser: Browser) -> None:
        barrier.wait()
        try:
            opened.append(browser.post("/admin/second-factor/", {"code": code}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=use, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [200, 200, 200, 200, 302]
    assert Event.objects.filter(act=Event.Act.SIGNED_IN).count() == 1


@pytest.mark.django_db
def test_console_resets_the_last_administrator() -> None:
    staff = StaffFactory(role="Administrator", username="the-last")
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "nobody", reason="lost")
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "the-last", reason=" ")
    call_command("reset_second_factor", "the-last", reason="phone lost", stdout=StringIO())
    assert not SecondFactor.objects.filter(pk=staff.pk).exists()
    assert Event.objects.get(act=Event.Act.SECOND_FACTOR_RESET).details["reason"] == "phone lost"


@pytest.mark.django_db
def test_demo_staff_sign_in_with_what_is_printed(settings: Any) -> None:
    with pytest.raises(CommandError):
        call_command("demo", code=True)
    settings.PLAIN_HTTP = True
    out = StringIO()
    call_command("demo", no_serve=True, stdout=out)
    call_command("demo", code=True, stdout=out)
    shown = out.getvalue()
    code = shown.strip().splitlines()[-1].split()[0]
    browser = Browser()
    typed = {"username": "demo-store", "password": demo.STAFF_PASSWORD}
    browser.post("/admin/login/", typed)
    assert browser.post("/admin/second-factor/", {"code": code}).status_code == 302
    [line] = [line for line in shown.splitlines() if "demo-store" in line]
    recovery = line.partition("recovery codes: ")[2].split(",")[0]
    again = Browser()
    again.post("/admin/login/", typed)
    assert again.post("/admin/second-factor/", {"code": recovery}).status_code == 302
