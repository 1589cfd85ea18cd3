"""The API as the card host meets it: keys, codes, problems, and nothing sent ever comes back."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from credentials import api_keys, card_verification
from credentials.models import ApiClient, ApiKey, CardVerification, Event, Session
from members.hashing import NoSlot, slots
from members.models import User
from tests.conftest import Browser
from tests.factories import PIN, MemberFactory, StaffFactory

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/card-verifications"
DOCUMENT = "/api/v1/openapi.json"
CANARY = "8264"
_traces = count(1)


@pytest.fixture
def key() -> str:
    """A valid key, as the card host has it."""
    new = api_keys.make(
        client=ApiClient.objects.create(name="card host"),
        scope=ApiKey.Scope.CARD_VERIFICATIONS,
        days=None,
        reason="tests",
        by=StaffFactory(role="Administrator"),
    )
    assert isinstance(new, api_keys.NewKey)
    return new.text


def question(**other: Any) -> dict[str, Any]:
    """Return a well-formed question under a new trace number."""
    return {
        "card_number": "4990000000000006",
        "pin": PIN,
        "terminal": "ATM-0001",
        "trace": f"112213{next(_traces):06}",
        **other,
    }


@pytest.fixture
def send(client: Browser, key: str) -> Callable[..., HttpResponse]:
    """Return a function that sends a body with the key."""

    def send(body: Any, **how: Any) -> HttpResponse:
        options = {
            "content_type": "application/json",
            "headers": {"authorization": f"Bearer {key}"},
            **how,
        }
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return client.post(ADDRESS, data, **options)

    return send


def assert_problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies
    told: dict[str, Any] = json.loads(answer.content)
    assert told["status"] == status
    assert {"type", "title", "detail"} <= told.keys()
    return told


def test_a_question_is_answered_in_the_card_host_s_words(send: Callable[..., Any]) -> None:
    member = MemberFactory()
    asked = question(card_number=member.card.number)
    answer = send(asked)
    assert answer.status_code == 200
    assert answer.json() == {"trace": asked["trace"], "response_code": "00"}
    assert answer["Content-Type"].startswith("application/json")
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies
    assert not Session.objects.filter(user__member__isnull=False).exists()
    assert send(asked).json() == answer.json()
    wrong = send(question(card_number=member.card.number, pin="9753"))
    assert wrong.json()["response_code"] == "55"
    assert send(question()).json()["response_code"] == "14"


def test_the_source_on_record_is_the_card_host(send: Callable[..., Any]) -> None:
    member = MemberFactory()
    send(question(card_number=member.card.number))
    assert Event.objects.get(act=Event.Act.CARD_VERIFIED).source == "203.0.113.7"


def test_missing_unknown_expired_and_revoked_keys_are_refused_alike(
    client: Browser, key: str
) -> None:
    def headers(text: str) -> dict[str, str]:
        return {"authorization": text}

    def ask(**how: Any) -> HttpResponse:
        return client.post(ADDRESS, question(), content_type="application/json", **how)

    prefix = key[: api_keys.PREFIX_LENGTH]
    answers = [
        ask(),
        ask(headers=headers("Bearer")),
        ask(headers=headers("Bearer  ")),
        ask(headers=headers(f"Basic {key}")),
        ask(headers=headers("Bearer msp_nobodys0_" + "A" * 43)),
        ask(headers=headers(f"Bearer {prefix}_" + "A" * 43)),
    ]
    ApiKey.objects.update(expires_at=Now())
    answers.append(ask(headers=headers(f"Bearer {key}")))
    ApiKey.objects.update(expires_at=Now() + timedelta(days=1), revoked_at=Now())
    answers.append(ask(headers=headers(f"Bearer {key}")))
    for answer in answers:
        assert_problem(answer, 401)
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    assert len({answer.content for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert not CardVerification.objects.exists()


def test_a_session_of_staff_is_no_key(staff_browser: Callable[..., Browser]) -> None:
    browser = staff_browser("Administrator")
    answer = browser.post(ADDRESS, question(), content_type="application/json")
    assert_problem(answer, 401)


def test_failures_with_keys_are_throttled_by_source_and_a_valid_key_still_opens(
    client: Browser, send: Callable[..., Any], settings: Settings
) -> None:
    settings.SOURCE_FAILURE_LIMIT = "3/hour"
    for _turn in range(3):
        assert_problem(client.post(ADDRESS), 401)
    answer = client.post(ADDRESS)
    assert_problem(answer, 429)
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert send(question()).status_code == 200
    assert_problem(Browser("203.0.113.8").post(ADDRESS), 401)


def test_a_key_for_something_else_is_refused(send: Callable[..., Any]) -> None:
    ApiKey.objects.update(scope="something-else")
    assert_problem(send(question()), 403)


def test_a_trace_number_with_other_contents_is_a_conflict(send: Callable[..., Any]) -> None:
    asked = question()
    send(asked)
    told = assert_problem(send({**asked, "pin": CANARY}), 409)
    assert told["type"].endswith(":trace-reused")


def test_what_is_being_answered_is_a_conflict_to_wait_for(send: Callable[..., Any]) -> None:
    asked = question()
    send(asked)
    CardVerification.objects.update(response_code="")
    answer = send(asked)
    assert assert_problem(answer, 409)["type"].endswith(":still-answering")
    assert answer["Retry-After"] == "1"
    CardVerification.objects.update(asked_at=F("asked_at") - card_verification.TRACES_KEPT)
    assert send(asked).json()["response_code"] == "91"


def test_without_a_slot_it_is_unavailable(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise NoSlot

    monkeypatch.setattr(slots, "take", full)
    answer = send(question())
    assert assert_problem(answer, 503)["response_code"] == "91"
    assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize("where", ["authenticate", "verify"])
def test_with_the_database_gone_it_is_unavailable(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def gone(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    module = api_keys if where == "authenticate" else card_verification
    monkeypatch.setattr(module, where, gone)
    answer = send(question())
    assert assert_problem(answer, 503)["response_code"] == "91"
    assert int(answer["Retry-After"]) > 0


def test_an_error_of_ours_is_a_problem_too(
    send: Callable[..., Any], client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(card_verification, "verify", broken)
    client.raise_request_exception = False
    assert_problem(send(question(pin=CANARY)), 500)


MALFORMED: list[Any] = [
    question(pin=CANARY + "1"),
    question(pin=int(CANARY)),
    question(pin=[CANARY]),
    question(pin={CANARY: CANARY}),
    question(pin=f"{CANARY}\n"),
    question(pin="８２６４"),
    question(pin="\ud800" + CANARY),
    question(card_number=f"{CANARY}-0000-0000-0006"),
    question(card_number="100007919"),
    question(terminal=CANARY + "\0"),
    question(terminal=""),
    question(trace=CANARY * 17),
    {**question(), CANARY: CANARY},
    {"pin": CANARY},
    {},
    [CANARY],
    CANARY,
    None,
    int(CANARY),
    b"",
    b"{" + CANARY.encode(),
    b'{"pin": NaN, "x": "' + CANARY.encode() + b'"}',
    b"\xff\xfe" + CANARY.encode(),
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b'{"pin": ' + b"9" * 50_000 + b"}",
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_is_a_problem_that_repeats_nothing(
    send: Callable[..., Any], body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = send(body)
    assert_problem(answer, 400)
    assert CANARY not in answer.content.decode()
    assert CANARY not in str(answer.headers)
    assert CANARY not in caplog.text
    assert not CardVerification.objects.exists()
    assert not Event.objects.exclude(act=Event.Act.API_KEY_MADE).exists()


def test_a_problem_points_at_what_is_wrong(send: Callable[..., Any]) -> None:
    told = assert_problem(send({"pin": "12345", "trace": 7, "other": 1}), 400)
    assert {(error["pointer"], error["detail"]) for error in told["errors"]} == {
        ("#/card_number", "is missing"),
        ("#/pin", "is too long"),
        ("#/terminal", "is missing"),
        ("#/trace", "is not a string"),
        ("#", "has a member that the document does not describe"),
    }


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_other_than_json_is_refused(send: Callable[..., Any], kind: str) -> None:
    assert_problem(send(json.dumps(question()), content_type=kind), 415)


def test_a_large_body_is_refused_before_it_is_read(send: Callable[..., Any]) -> None:
    assert_problem(send(b" " * 65_537), 413)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options", "trace"])
def test_other_methods_are_refused(client: Browser, method: str) -> None:
    answer = getattr(client, method)(ADDRESS)
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    if method != "head":
        assert_problem(answer, 405)


@pytest.mark.parametrize(
    "address", ["/api/", "/api/v1/", "/api/v1/docs", "/api/v1/card-verifications/", "/api/v2/x"]
)
def test_nothing_else_is_there(client: Browser, address: str) -> None:
    assert_problem(client.get(address), 404)
    assert_problem(client.post(address), 404)


@pytest.mark.parametrize("path", [ADDRESS, DOCUMENT, "/api/", "/api/nowhere"])
def test_plain_http_is_refused_and_not_redirected(client: Browser, path: str) -> None:
    answer = client.post(path, headers={"x-forwarded-proto": "http"})
    assert_problem(answer, 403)
    assert "Location" not in answer


def test_nothing_is_judged_over_plain_http(send: Callable[..., Any], key: str) -> None:
    member = MemberFactory()
    in_clear = {"authorization": f"Bearer {key}", "x-forwarded-proto": "http"}
    assert_problem(
        send(question(card_number=member.card.number, pin="9753"), headers=in_clear), 403
    )
    assert not CardVerification.objects.exists()
    assert User.objects.get(member=member).attempts == 0


def test_the_document_is_open_and_describes_every_end(client: Browser) -> None:
    answer = client.get(DOCUMENT)
    assert answer.status_code == 200
    assert not answer.cookies
    document = answer.json()
    [(path, methods)] = document["paths"].items()
    assert (path, list(methods)) == (ADDRESS, ["post"])
    ends = methods["post"]["responses"]
    assert set(ends) == {"200", "400", "401", "403", "409", "413", "415", "429", "503"}
    assert methods["post"]["security"] == [{"ApiKeyBearer": []}]
    asked = document["components"]["schemas"]["Question"]
    assert set(asked["required"]) == {"card_number", "pin", "terminal", "trace"}
    assert asked["properties"]["pin"]["writeOnly"] is True


@pytest.mark.parametrize("pin", [CANARY, "9753"])
def test_no_pin_is_kept_logged_or_answered(
    send: Callable[..., Any], caplog: pytest.LogCaptureFixture, pin: str
) -> None:
    member = MemberFactory(number="100000007", pin=CANARY)
    number = member.card.number
    assert pin not in number
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    asked = question(card_number=number, pin=pin, terminal="A", trace="B")
    answers = [send(asked), send(asked), send({**asked, "terminal": "C"})]
    for answer in answers:
        assert pin not in answer.content.decode() + str(answer.headers)
    assert pin not in caplog.text
    kept = [
        value
        for model in (CardVerification, Event, User)
        for row in model.objects.values()  # type: ignore[attr-defined]
        for name, value in row.items()
        # Made of random digits, or of the clock's.
        if name not in {"request_digest", "key_digest", "password"} and not hasattr(value, "year")
    ]
    assert pin not in repr(kept)
    assert number not in repr(kept)
