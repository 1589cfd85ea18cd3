"""Canaries: what is secret appears in no log, error page, mail, admin page or database column.

Every flow is walked with secrets of its own, and then everything that was left behind is read.
"""

from __future__ import annotations

import logging
import re
import sys
from base64 import b32decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import mail as django_mail
from django.core.mail import EmailMessage
from django.db import OperationalError, connection
from django.test import RequestFactory
from django.views.debug import ExceptionReporter, get_exception_reporter_filter

from credentials.models import (
    ApiClient,
    ApiKey,
    Closure,
    Event,
    IdentityCheck,
    OutboxMail,
    Session,
)
from members.models import Card, Member, User
from tests.conftest import Browser
from tests.factories import PASSWORD, MemberFactory, StaffFactory, app_code
from tests.pages import as_staff, browser, code_in, page_of, verify

pytestmark = pytest.mark.django_db

Deliver = Callable[[], list[EmailMessage]]
# In no number that the factories or the database make.
PINS = {
    "old": "9105",
    "wrong": "9147",
    "new": "9642",
    "mistyped": "9584",
    "unknown": "9378",
}
WORDS = {
    "password": "canary of a good password",
    "wrong": "canary of a wrong password",
    "differing": "canary of a differing one",
    "staff": "canary of the staff password",
    "in the PIN field": "canary typed as a PIN",
    "in the code field": "canary typed as a code",
    "in the name field": "canary-as-staff-name-or-web-id",
}


def everything_stored() -> str:
    """Return every value of every column of every table."""
    rows: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += [f"{table}: {row!r}" for row in cursor.fetchall()]
    assert any(row.startswith("members_card") for row in rows)
    return "\n".join(rows)


def pages_of_the_admin() -> str:
    """Return all that a superuser can look at, with every member verified and so unmasked."""
    superuser = StaffFactory(is_superuser=True, username="all-seeing")
    client = as_staff(superuser)
    paths = ["/admin/", "/admin/overview/", "/admin/members/member/suspended/"]
    for member in Member.objects.all():
        verify(member, superuser)
        own = f"/admin/members/member/{member.pk}"
        paths += [f"{own}/{act}/" for act in ("verify", "tell", "pin-reset", "close")]
        paths += [f"/admin/members/member/?q={member.number}"]
    for model in (Member, User, Event, OutboxMail, IdentityCheck, Closure, ApiClient, ApiKey):
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        paths.append(base)
        rows = model._default_manager.all()
        # The users of members have no page.
        for row in rows.filter(is_staff=True) if model is User else rows:
            paths += [f"{base}{row.pk}/change/", f"{base}{row.pk}/history/"]
    answers = {path: client.get(path) for path in paths}
    assert [path for path, answer in answers.items() if answer.status_code != 200] == []
    return "\n".join(answer.content.decode() for answer in answers.values())


class Listener(logging.Handler):
    """Keeps all that is logged, at the finest level, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # Statements are logged by Django for debugging only; the factory is the tests' own.
        if not record.name.startswith(("django.db.backends", "factory")):
            moments = {"created", "msecs", "relativeCreated", "thread", "process"}
            more = {name: value for name, value in vars(record).items() if name not in moments}
            self.lines.append(f"{self.format(record)} {more}")


@pytest.fixture
def heard() -> Iterator[Callable[[], str]]:
    """Return a function that gives all that was logged since the test began."""
    listener, root = Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield lambda: "\n".join(listener.lines)
    root.setLevel(level)
    root.removeHandler(listener)


class Walk:
    """Every flow once, with everything in it that goes wrong."""

    def __init__(self, deliver: Deliver) -> None:
        MemberFactory.reset_sequence(0)
        self.deliver = deliver
        self.pages: list[str] = []
        self.codes: list[str] = []
        self.tickets: list[str] = []
        # Of six digits, like a moment's microseconds; looked for where no moments are.
        self.staff_codes: list[str] = []
        self.cookies: list[str] = []
        self.member = MemberFactory(pin=PINS["old"])
        self.staff = StaffFactory(role="Store")
        self.staff.set_password(WORDS["staff"])
        self.staff.save()

    def post(self, client: Browser, path: str, **typed: str) -> Any:
        answer = client.post(path, typed)
        assert answer.status_code in {200, 302}, answer.status_code
        self.pages.append(page_of(answer))
        return answer

    def card(self, pin: str, number: str = "") -> Browser:
        client = browser()
        self.post(client, "/login/", card_number=number or self.member.card.number, pin=pin)
        return client

    def web_id(self, password: str, name: str = "hanako1983") -> Browser:
        client = browser()
        self.post(client, "/login/web-id/", web_id=name, password=password)
        return client

    def sign_in(self) -> None:
        self.card(PINS["wrong"])
        self.card(PINS["unknown"], number="4990000000000008")
        self.card(WORDS["in the PIN field"])
        client = self.card(PINS["old"])
        self.pages += [client.get(path).content.decode() for path in ("/", "/member-number/memo/")]
        self.cookies.append(client.cookies["__Host-session"].value)
        self.post(client, "/logout/")

    def register(self) -> None:
        client = browser()
        asked = {"member_number": self.member.number, "email": self.member.email}
        self.post(client, "/web-id/register/", **asked)
        [mail] = self.deliver()
        code = code_in(mail)
        self.codes.append(code)
        self.post(client, "/web-id/register/code/", code=f"{(int(code) + 1) % 10**6:06}")
        self.post(client, "/web-id/register/code/", code=code)
        choose = "/web-id/register/choose/"
        good, differing = WORDS["password"], WORDS["differing"]
        self.post(client, choose, web_id="short", password1=good, password2=differing)
        self.post(client, choose, web_id="hanako1983", password1=good, password2=good)
        self.cookies.append(client.cookies["__Host-session"].value)
        self.web_id(WORDS["wrong"])
        self.web_id(WORDS["wrong"], name=WORDS["in the name field"])
        self.web_id(WORDS["password"])
        self.web_id(WORDS["password"], name="nobody1234")

    def enrol(self) -> None:
        """Sign a newcomer in with a new second factor, and then with a recovery code."""
        staff, client = StaffFactory(role="Auditor", second_factor=False), browser()
        typed = {"username": staff.username, "password": PASSWORD}
        self.post(client, "/admin/login/", **typed)
        enrolling = "/admin/second-factor/enrol/"
        page = client.get(enrolling).content.decode()
        [letters] = re.findall(r'id="second-factor-secret">([A-Z2-7 ]+)<', page)
        self.app_secret = letters.replace(" ", "")
        code = app_code(secret=b32decode(self.app_secret))
        # The answer is the one page that shows the recovery codes.
        page = client.post(enrolling, {"code": code}).content.decode()
        self.staff_codes.append(code)
        found = re.findall(r"<li>(\d{5} \d{5})</li>", page)
        self.recovery_codes = [*found, *(code.replace(" ", "") for code in found)]
        assert len(found) == 10
        again = browser()
        self.post(again, "/admin/login/", **typed)
        assert self.post(again, "/admin/second-factor/", code=found[0]).status_code == 302
        self.cookies += [visitor.cookies["__Host-session"].value for visitor in (client, again)]

    def verify_on_the_phone(self) -> None:
        """Read a hand-off code out to the call centre, once wrong and once right."""
        client = self.card(PINS["old"])
        page = client.post("/hand-off/").content.decode()
        [shown] = re.findall(r'id="hand-off-code"[^>]*>(\d{3} \d{3})<', page)
        code = shown.replace(" ", "")
        wrong = f"{(int(code) + 1) % 10**6:06}"
        operator = as_staff(StaffFactory(role="Call centre"))
        path = f"/admin/members/member/{self.member.pk}"
        assert self.post(operator, f"{path}/hand-off/", code=wrong).status_code == 200
        assert self.post(operator, f"{path}/hand-off/", code=code).status_code == 302
        self.staff_codes += [code, wrong]
        page = operator.post(f"{path}/prepare-pin-reset/").content.decode()
        [ticket] = re.findall(r'id="ticket"[^>]*>([\d ]+)<', page)
        self.tickets.append(ticket.replace(" ", ""))

    def suspend(self) -> None:
        for _ in range(5):
            self.card(PINS["wrong"])
        self.card(PINS["old"])

    def reset_the_pin(self) -> None:
        client = browser()
        self.post(client, "/admin/login/", username=self.staff.username, password=WORDS["wrong"])
        self.post(client, "/admin/login/", username=self.staff.username, password=WORDS["staff"])
        code = app_code()
        wrong = f"{(int(code) + 1) % 10**6:06}"
        self.staff_codes += [code, wrong]
        self.post(client, "/admin/second-factor/", code=WORDS["in the code field"])
        self.post(client, "/admin/second-factor/", code=wrong)
        self.post(client, "/admin/second-factor/", code=code)
        path = f"/admin/members/member/{self.member.pk}/pin-reset/"
        answer = client.post(path, {"document": "passport", "place": "Ueno"})
        [shown] = re.findall(r'id="ticket"[^>]*>([\d ]+)<', answer.content.decode())
        ticket = shown.replace(" ", "")
        self.tickets.append(ticket)
        number = self.member.card.number
        for typed, pin, again in (
            (f"{(int(ticket) + 1) % 10**8:08}", PINS["new"], PINS["new"]),
            ("12345678", PINS["new"], PINS["mistyped"]),
            ("12345678", PINS["mistyped"], PINS["mistyped"]),
        ):
            self.post(browser(), "/pin/", card_number=number, ticket=typed, pin1=pin, pin2=again)
        typed = {"pin1": PINS["new"], "pin2": PINS["new"]}
        done = self.post(browser(), "/pin/", card_number=number, ticket=ticket, **typed)
        assert done.status_code == 302
        self.card(PINS["new"])


@pytest.fixture
def walk(heard: Callable[[], str], deliver: Deliver) -> Walk:
    walked = Walk(deliver)
    walked.sign_in()
    walked.register()
    walked.enrol()
    walked.verify_on_the_phone()
    walked.suspend()
    walked.reset_the_pin()
    deliver()
    return walked


def assert_silent(text: str, secrets: Any, where: str) -> None:
    assert text, f"nothing was read from {where}"
    for secret in secrets:
        assert secret not in text, f"a secret stands in {where}"


def without_digests(text: str) -> str:
    """Leave out what is random by nature, where four digits in a row prove nothing."""
    return re.sub(r"v1:[A-Za-z0-9+/=]+|argon2\S+|\b[0-9a-f]{64}\b|\d{2}:\d{2}:\d{2}\.\d+", "", text)


def test_no_secret_is_in_any_column_of_the_database(walk: Walk) -> None:
    stored = everything_stored()
    assert_silent(stored, [*WORDS.values(), *walk.cookies], "the database")
    assert_silent(without_digests(stored), [*walk.tickets, *walk.codes], "the database")
    of_staff = [walk.app_secret, b32decode(walk.app_secret).hex(), *walk.recovery_codes]
    assert_silent(stored, of_staff, "the database")
    outside_hashes = without_digests(
        "\n".join(
            line
            for line in stored.splitlines()
            if not line.startswith(("credentials_session", "django_", "auth_"))
        )
    )
    moments = r"datetime\.datetime\([^)]*\)"
    without_moments = re.sub(moments, "", outside_hashes)
    assert_silent(without_moments, [*PINS.values(), *walk.staff_codes], "the database")


def test_no_secret_is_in_any_log(walk: Walk, heard: Callable[[], str]) -> None:
    secrets = [*PINS.values(), *WORDS.values(), *walk.tickets, *walk.codes, *walk.cookies]
    secrets += [walk.app_secret, *walk.recovery_codes]
    assert_silent(heard(), secrets, "the logs")
    assert_silent(re.sub(r"\d{2}:\d{2}:\d{2}\.\d+", "", heard()), walk.staff_codes, "the logs")
    assert "of kind registration: sent" in heard()


def test_no_secret_is_in_any_mail_but_the_code_in_its_own(walk: Walk) -> None:
    mails = [f"{mail.subject}\n{mail.body}" for mail in django_mail.outbox]
    assert len(mails) >= 5
    with_code = [mail for mail in mails if walk.codes[0] in mail]
    assert len(with_code) == 1
    text = "\n".join(mails)
    assert_silent(text, [*PINS.values(), *WORDS.values(), *walk.tickets], "a mail")
    assert_silent(text, [walk.app_secret, *walk.recovery_codes, *walk.staff_codes], "a mail")
    assert walk.member.card.number not in text
    assert walk.member.number not in text


def test_no_secret_is_on_any_page_of_the_admin(walk: Walk) -> None:
    pages = page_without_moments(pages_of_the_admin())
    assert_silent(pages, [*PINS.values(), *WORDS.values(), *walk.tickets], "the admin")
    assert_silent(pages, [*walk.codes, *walk.staff_codes], "the admin")
    assert_silent(pages, [walk.app_secret, *walk.recovery_codes], "the admin")
    hashes = [user.password.rsplit("$", 1)[1] for user in User.objects.filter(is_staff=True)]
    hashes += [card.sealed_pin for card in Card.objects.all()]
    hashes += [session.key_digest for session in Session.objects.all()]
    assert_silent(pages, hashes, "the admin")
    assert walk.member.card.number not in pages


def page_without_moments(page: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page)


def test_no_secret_is_written_back_into_any_page(walk: Walk) -> None:
    pages = "\n".join(walk.pages)
    secrets = [*PINS.values()] + [
        words for name, words in WORDS.items() if name != "in the name field"
    ]
    assert_silent(pages, secrets, "a page")
    assert walk.member.card.number not in "".join(
        page for page in walk.pages if "member-number" in page
    )


def test_same_pin_on_two_cards_is_stored_in_two_ways(walk: Walk) -> None:
    one, other = MemberFactory(pin=PINS["new"]), MemberFactory(pin=PINS["new"])
    assert one.card.sealed_pin != other.card.sealed_pin
    assert "argon2" not in one.card.sealed_pin, "a bare hash of four digits is no secret"


# --- When something breaks --------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, OperationalError])
@pytest.mark.parametrize("debug", [False, True])
def test_no_secret_is_on_an_error_page_or_in_its_log(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    heard: Callable[[], str],
    error: type[Exception],
    debug: bool,
) -> None:
    settings.DEBUG = debug
    settings.ADMINS = [("Admin", "admin@portal.example")]
    member = MemberFactory(pin=PINS["old"])

    def broken(*args: Any, **options: Any) -> None:
        held = f"{PINS['wrong']} {WORDS['password']} {args!r} {options!r}"
        raise error(f"{len(held)} characters")

    monkeypatch.setattr("credentials.login.reserve", broken)
    client = browser()
    client.raise_request_exception = False
    answers = [
        client.post("/login/", {"card_number": member.card.number, "pin": PINS["old"]}),
        client.post("/login/web-id/", {"web_id": "hanako1983", "password": WORDS["wrong"]}),
        client.post("/admin/login/", {"username": "nobody", "password": WORDS["staff"]}),
    ]
    secrets = [PINS["old"], PINS["wrong"], *WORDS.values()]
    for answer in answers:
        assert answer.status_code == (500 if debug or error is RuntimeError else 503)
        page = answer.content.decode()
        assert_silent(page, WORDS.values(), "an error page")
        assert f"'{PINS['old']}'" not in page
        assert f"'{PINS['wrong']}" not in page
    assert_silent(heard(), secrets[2:], "the log of an error")
    assert f"'{PINS['old']}'" not in heard()
    assert not django_mail.outbox, "nobody is mailed a traceback"


def test_report_of_an_exception_leaves_out_what_was_posted_and_local_variables() -> None:
    request = RequestFactory().post("/login/", {"pin": "canary-pin", "other": "canary-other"})
    try:
        held = "canary-local"
        raise RuntimeError(len(held))
    except RuntimeError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    assert type(get_exception_reporter_filter(request)).__name__ == "NothingTyped"
    for report in (reporter.get_traceback_html(), reporter.get_traceback_text()):
        # The line of source that raised is shown, and it is ours.
        shown = report.replace("canary-local&quot;", "").replace('"canary-local"', "")
        shown = shown.replace("canary-pin&quot;", "").replace("canary-other&quot;", "")
        assert "&#x27;canary" not in shown
        assert "'canary" not in shown


def test_every_model_of_ours_prints_itself_without_a_secret(walk: Walk) -> None:
    printed = [
        f"{row} {row!r}"
        for app in ("members", "credentials")
        for model in apps.get_app_config(app).get_models()
        for row in model._default_manager.all()
    ]
    assert Session.objects.exists()
    text = "\n".join(printed)
    typed = [*WORDS.values(), *walk.tickets, *walk.codes, *walk.cookies]
    assert_silent(text, typed, "a printed row")
    assert_silent(text, [walk.app_secret, *walk.recovery_codes], "a printed row")
    assert walk.member.card.number not in text
