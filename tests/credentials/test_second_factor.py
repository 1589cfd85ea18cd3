"""The second step of the staff's sign-in: enrolment, codes, recovery codes, and their re-set."""

from __future__ import annotations

import re
from base64 import b32decode, b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from credentials import second_factor, totp
from credentials.models import Event, RecoveryCode, SecondFactor
from credentials.refusals import Refusal
from credentials.sessions import rows
from credentials.staff_accounts import reset_second_factor
from members import sealing
from members.models import User
from tests.conftest import Browser, sign_in_staff
from tests.factories import APP_SECRET, PASSWORD, StaffFactory, app_code

pytestmark = pytest.mark.django_db


def password_step(staff: User, browser: Browser | None = None) -> Browser:
    """Return a browser in which the password of `staff` was right, and no more."""
    browser = browser or Browser()
    answer = browser.post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    assert answer.status_code == 302
    assert answer["Location"] == "/admin/second-factor/"
    return browser


def code_step(browser: Browser, code: str) -> Any:
    return browser.post("/admin/second-factor/", {"code": code})


def failures(staff: User) -> int:
    return User.objects.get(pk=staff.pk).failures


def secret_on(browser: Browser) -> bytes:
    """Return the secret that the enrolment page shows."""
    page = browser.get("/admin/second-factor/enrol/").content.decode()
    found = re.search(r'id="second-factor-secret">([A-Z2-7 ]+)<', page)
    assert found
    return b32decode(found[1].replace(" ", ""))


def recovery_codes_in(page: str) -> list[str]:
    return [code.replace(" ", "") for code in re.findall(r"<li>(\d{5} \d{5})</li>", page)]


def enrol(staff: User) -> tuple[Browser, list[str]]:
    """Enrol `staff`; return the browser, signed in, and the recovery codes."""
    browser = password_step(staff)
    secret = secret_on(browser)
    answer = browser.post("/admin/second-factor/enrol/", {"code": app_code(secret=secret)})
    return browser, recovery_codes_in(answer.content.decode())


# --- RFC 6238 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "eight_digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1234567890, "89005924"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_standard(second: int, eight_digits: str) -> None:
    moment = datetime.fromtimestamp(second, tz=UTC)
    secret = b"12345678901234567890"
    assert totp.code_at(secret, totp.step_at(moment)) == eight_digits[-totp.LENGTH :]


# --- Enrolment ------------------------------------------------------------------------------


def test_first_sign_in_enrols_and_shows_recovery_codes_once() -> None:
    staff = StaffFactory(role="Store", second_factor=False)
    browser = password_step(staff)
    assert browser.get("/admin/second-factor/")["Location"] == "/admin/second-factor/enrol/"
    page = browser.get("/admin/second-factor/enrol/").content.decode()
    assert "data:image/svg+xml" in page
    assert "<script>" not in page
    assert 'style="' not in page
    secret = secret_on(browser)
    answer = browser.post("/admin/second-factor/enrol/", {"code": app_code(secret=secret)})
    codes = recovery_codes_in(answer.content.decode())
    assert len(codes) == len(set(codes)) == 10
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/second-factor/enrol/").status_code == 302
    assert Event.objects.filter(act=Event.Act.SECOND_FACTOR_ENROLLED).count() == 1
    assert Event.objects.get(act=Event.Act.SIGNED_IN).details["second"] == "enrolment"


def test_wrong_code_at_enrolment_is_not_counted_and_enrols_nothing() -> None:
    staff = StaffFactory(second_factor=False)
    browser = password_step(staff)
    secret = secret_on(browser)
    for _try in range(settings.LOGIN_FAILURE_LIMIT + 1):
        answer = browser.post("/admin/second-factor/enrol/", {"code": app_code(40, secret)})
        assert answer.status_code == 200
    assert failures(staff) == 0
    assert not SecondFactor.objects.exists()
    assert secret_on(browser) == secret
    answer = browser.post("/admin/second-factor/enrol/", {"code": app_code(secret=secret)})
    assert recovery_codes_in(answer.content.decode())


def test_a_secret_shown_to_an_earlier_holder_of_the_password_is_worth_nothing() -> None:
    staff = StaffFactory(second_factor=False)
    thief = password_step(staff)
    shown_to_thief = secret_on(thief)
    enrol(staff)
    answer = thief.post(
        "/admin/second-factor/enrol/", {"code": app_code(secret=shown_to_thief)}, follow=True
    )
    assert not recovery_codes_in(answer.content.decode())
    assert code_step(thief, app_code(secret=shown_to_thief)).status_code == 200
    assert thief.get("/admin/").status_code == 302


def test_enrolment_is_not_offered_to_who_has_a_second_factor() -> None:
    staff = StaffFactory()
    browser = password_step(staff)
    assert browser.get("/admin/second-factor/enrol/")["Location"] == "/admin/second-factor/"
    answer = browser.post("/admin/second-factor/enrol/", {"code": app_code()})
    assert answer.status_code == 302
    assert browser.get("/admin/").status_code == 302


# --- Codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(-3, 4))
def test_codes_one_step_before_and_after_are_right(steps: int) -> None:
    now = datetime.fromtimestamp(1111111109, tz=UTC)
    step = totp.step_at(now) + steps
    code = totp.code_at(APP_SECRET, step)
    right = step if abs(steps) <= 1 else None
    assert totp.step_of(code, APP_SECRET, now=now) == right
    assert totp.step_of(code, APP_SECRET, now=now, after=step) is None
    assert totp.step_of(code, b"another secret, as long", now=now) is None


# Not one step before: half a minute may turn between the making of a code and its judging.
@pytest.mark.parametrize("steps", [0, 1])
def test_code_signs_in(steps: int) -> None:
    browser = password_step(StaffFactory())
    assert code_step(browser, app_code(steps)).status_code == 302
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize("steps", [-3, 3])
def test_codes_of_other_times_are_wrong(steps: int) -> None:
    browser = password_step(StaffFactory())
    assert code_step(browser, app_code(steps)).status_code == 200
    assert browser.get("/admin/").status_code == 302


def test_code_is_read_as_people_type_it() -> None:
    full_width = app_code().translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
    browser = password_step(StaffFactory())
    assert code_step(browser, f"{full_width[:3]} {full_width[3:]}").status_code == 302


def test_code_works_once() -> None:
    staff = StaffFactory()
    code = app_code()
    assert code_step(password_step(staff), code).status_code == 302
    again = password_step(staff)
    assert code_step(again, code).status_code == 200
    assert code_step(again, app_code(-1)).status_code == 200
    assert failures(staff) == 2
    assert again.get("/admin/").status_code == 302


def test_wrong_codes_count_with_wrong_passwords_and_suspend() -> None:
    staff = StaffFactory()
    limit = settings.LOGIN_FAILURE_LIMIT
    Browser().post("/admin/login/", {"username": staff.username, "password": "wrong"})
    browser = Browser()
    for count in range(2, limit + 1):
        # The right password between them clears nothing.
        password_step(staff, browser)
        assert failures(staff) == count - 1
        assert code_step(browser, app_code(40)).status_code == 200
    assert Event.objects.filter(act=Event.Act.SECOND_FACTOR_FAILED).count() == limit - 1
    assert Event.objects.filter(act=Event.Act.SUSPENDED).count() == 1
    # Neither the step that was under way nor a new one opens anything now.
    assert code_step(browser, app_code()).status_code == 302
    assert browser.get("/admin/").status_code == 302
    answer = Browser().post("/admin/login/", {"username": staff.username, "password": PASSWORD})
    assert answer.status_code == 200


def test_what_is_not_a_code_is_not_counted() -> None:
    staff = StaffFactory()
    browser = password_step(staff)
    for typed in ("", "12345", "1234567", "abcdef", "１２３"):
        assert code_step(browser, typed).status_code == 200
    assert failures(staff) == 0


def test_what_was_typed_is_not_written_back() -> None:
    browser = password_step(StaffFactory())
    page = code_step(browser, "９８７ ６５４").content.decode()
    assert 'inputmode="numeric"' in page
    assert 'autocomplete="one-time-code"' in page
    assert not re.search("987 ?654|９８７", page)


def test_success_clears_the_count() -> None:
    staff = StaffFactory()
    browser = password_step(staff)
    code_step(browser, app_code(40))
    assert code_step(browser, app_code()).status_code == 302
    assert failures(staff) == 0


def test_codes_are_throttled_by_source(settings: Any) -> None:
    settings.SOURCE_FAILURE_LIMIT = "2/hour"
    browser = password_step(StaffFactory())
    for _try in range(2):
        assert code_step(browser, app_code(40)).status_code == 200
    answer = code_step(browser, app_code())
    assert answer.status_code == 429
    assert answer["Retry-After"]


# --- Recovery codes -------------------------------------------------------------------------


def test_recovery_code_signs_in_once() -> None:
    staff = StaffFactory(second_factor=False)
    _browser, codes = enrol(staff)
    browser = password_step(staff)
    assert code_step(browser, f"{codes[0][:5]}-{codes[0][5:]}").status_code == 302
    assert browser.get("/admin/").status_code == 200
    assert second_factor.recovery_codes_left(staff) == 9
    again = password_step(staff)
    assert code_step(again, codes[0]).status_code == 200
    assert failures(staff) == 1


def test_recovery_code_of_somebody_else_is_wrong() -> None:
    _browser, codes = enrol(StaffFactory(second_factor=False))
    other = StaffFactory()
    assert code_step(password_step(other), codes[0]).status_code == 200


def test_new_recovery_codes_replace_the_old_ones(staff_browser: Callable[..., Browser]) -> None:
    browser = staff_browser("Store")
    url = "/admin/second-factor/recovery-codes/"
    assert browser.get(url).status_code == 200
    used = totp.code_at(APP_SECRET, SecondFactor.objects.get().last_step)
    answer = browser.post(url, {"code": used})
    assert not recovery_codes_in(answer.content.decode()), "that code was used to sign in"
    assert failures(browser.staff) == 1
    first = recovery_codes_in(browser.post(url, {"code": app_code(1)}).content.decode())
    assert len(first) == 10
    SecondFactor.objects.update(last_step=0)
    second = recovery_codes_in(browser.post(url, {"code": app_code()}).content.decode())
    assert not set(first) & set(second)
    assert RecoveryCode.objects.count() == 10
    assert failures(browser.staff) == 1, "right codes are no failures, and clear none"


# --- What is stored -------------------------------------------------------------------------


def test_no_secret_stands_in_the_database() -> None:
    staff = StaffFactory(second_factor=False)
    browser = password_step(staff)
    secret = secret_on(browser)
    unconfirmed = rows(browser.session.session_key).get().data
    answer = browser.post("/admin/second-factor/enrol/", {"code": app_code(secret=secret)})
    codes = recovery_codes_in(answer.content.decode())
    columns = [unconfirmed]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            columns += [str(value) for row in cursor.fetchall() for value in row]
    stored = "\n".join(columns)
    for form in (totp.in_letters(secret), secret.hex(), str(secret)[2:-1], *codes):
        assert form not in stored


def test_sealed_secret_opens_for_its_owner_only() -> None:
    one, other = StaffFactory(), StaffFactory()
    stolen = SecondFactor.objects.get(pk=one.pk).sealed_secret
    SecondFactor.objects.filter(pk=other.pk).update(sealed_secret=stolen)
    assert code_step(password_step(other), app_code()).status_code == 200


def test_keys_rotate_with_use(settings: Any) -> None:
    staff = StaffFactory()
    settings.PIN_KEYS = {"v2": b"2" * 32, **settings.PIN_KEYS}
    assert code_step(password_step(staff), app_code()).status_code == 302
    assert SecondFactor.objects.get(pk=staff.pk).sealed_secret.startswith("v2:")


def test_what_is_sealed_does_not_open_when_it_was_touched() -> None:
    sealed = sealing.seal(b"secret", bound_to=b"here")
    assert sealing.unseal(sealed, bound_to=b"here") == b"secret"
    assert sealing.unseal(sealed, bound_to=b"there") is None
    version, _colon, body = sealed.partition(":")
    raw = b64decode(body)
    assert raw
    assert sealing.unseal(f"{version}:{body[:-4]}AAA=", bound_to=b"here") is None
    assert sealing.unseal(f"unknown:{body}", bound_to=b"here") is None
    assert sealing.unseal("", bound_to=b"here") is None


# --- Re-set by a colleague ------------------------------------------------------------------


def test_administrator_resets_a_colleague_who_enrols_anew(
    staff_browser: Callable[..., Browser],
) -> None:
    administrator, colleague = staff_browser("Administrator"), staff_browser("Store")
    url = f"/admin/members/user/{colleague.staff.pk}/second-factor/"
    page = administrator.get(f"/admin/members/user/{colleague.staff.pk}/change/")
    assert url in page.content.decode()
    assert administrator.post(url, {"reason": " "}).status_code == 200
    assert colleague.get("/admin/").status_code == 200
    assert administrator.post(url, {"reason": "phone lost; seen in person"}).status_code == 302
    assert colleague.get("/admin/").status_code == 302
    event = Event.objects.get(act=Event.Act.SECOND_FACTOR_RESET)
    assert event.by == f"staff:{administrator.staff.username}"
    assert event.whom == f"staff:{colleague.staff.username}"
    assert event.details["reason"] == "phone lost; seen in person"
    browser = password_step(colleague.staff)
    assert browser.get("/admin/second-factor/")["Location"] == "/admin/second-factor/enrol/"
    assert secret_on(browser) != APP_SECRET


def test_reset_ends_a_step_under_way(staff_browser: Callable[..., Browser]) -> None:
    staff = StaffFactory()
    browser = password_step(staff)
    administrator = staff_browser("Administrator").staff
    assert reset_second_factor(staff, by=administrator, reason="lost", source="") is None
    assert browser.get("/admin/second-factor/")["Location"] == "/admin/login/"


def test_nobody_resets_their_own(staff_browser: Callable[..., Browser]) -> None:
    browser = staff_browser("Administrator")
    own = browser.staff.pk
    page = browser.get(f"/admin/members/user/{own}/change/").content.decode()
    assert f"/admin/members/user/{own}/second-factor/" not in page
    answer = browser.post(f"/admin/members/user/{own}/second-factor/", {"reason": "new phone"})
    assert answer.status_code == 200
    assert SecondFactor.objects.filter(pk=own).exists()


@pytest.mark.parametrize("role", ["Call centre", "Store", "Auditor"])
def test_other_roles_reset_nobody(staff_browser: Callable[..., Browser], role: str) -> None:
    browser, colleague = staff_browser(role), StaffFactory()
    url = f"/admin/members/user/{colleague.pk}/second-factor/"
    assert browser.post(url, {"reason": "please"}).status_code == 403
    refusal = reset_second_factor(colleague, by=browser.staff, reason="please", source="")
    assert isinstance(refusal, Refusal)
    assert SecondFactor.objects.filter(pk=colleague.pk).exists()


def test_administrator_resets_no_superuser(staff_browser: Callable[..., Browser]) -> None:
    browser, superuser = staff_browser("Administrator"), StaffFactory(is_superuser=True)
    url = f"/admin/members/user/{superuser.pk}/second-factor/"
    assert browser.post(url, {"reason": "please"}).status_code == 403
    refusal = reset_second_factor(superuser, by=browser.staff, reason="please", source="")
    assert isinstance(refusal, Refusal)


def test_enrolled_staff_sign_in_through_the_shared_helper() -> None:
    browser, staff = Browser(), StaffFactory(role="Auditor")
    sign_in_staff(browser, staff)
    assert browser.get("/admin/").status_code == 200
