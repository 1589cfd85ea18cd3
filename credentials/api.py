"""The API for the lender's card host: one question, answered in ISO 8583's words.

Machines come with a key of their own (api_keys.py), never with a session: no cookie is read or
set, so there is no CSRF to guard against. Whatever goes wrong is told as a problem
(problems.py), and nothing that was sent is ever sent back, for it may be a PIN.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_safe
from limits.errors import StorageError
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.security.http import HttpAuthBase
from pydantic_core import from_json

from credentials import api_keys, card_verification, throttling
from credentials.api_document import VERIFY_CARD, Answer, Question
from credentials.card_verification import OTHER_CONTENTS, Code
from credentials.models import ApiKey
from credentials.problems import for_machines, nothing_here, problem
from credentials.refusals import Refusal, Why
from credentials.throttling import client_address

logger = logging.getLogger(__name__)

JSON = "application/json"
# With the database or the counters gone; they come back unaided.
RETRY_AFTER_SECONDS = 10
_OUT_OF_REACH = (OperationalError, InterfaceError, StorageError)


class Stop(Exception):
    """Ends a request with this answer."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.answer = answer


class JsonOnly(Parser):
    """Reads a body that says it is JSON and is: UTF-8, no NaN, nested no deeper than it may be."""

    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type != JSON:
            raise Stop(problem(415, f"Send {JSON}.", headers={"Accept-Post": JSON}))
        try:
            return from_json(request.body, allow_inf_nan=False)
        except ValueError:
            # Its message could quote the body: nothing of it goes any further.
            raise Stop(problem(400, "The body is not JSON in UTF-8.")) from None


class ApiKeyBearer(HttpAuthBase):
    """`Authorization: Bearer <key>`, with a key that is for `scope`."""

    openapi_scheme = "bearer"

    def __init__(self, scope: ApiKey.Scope) -> None:
        super().__init__()
        self._scope = scope

    def __call__(self, request: HttpRequest) -> ApiKey:
        """Return the key; raises Stop, alike for a missing, unknown, expired or revoked one."""
        kind, _space, text = request.headers.get("Authorization", "").partition(" ")
        key = api_keys.authenticate(text.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise Stop(_not_let_in(client_address(request)))
        if key.scope != self._scope:
            logger.warning("api: key %s is not for %s", key.prefix, self._scope)
            raise Stop(problem(403, "This key is not for that."))
        return key


def _not_let_in(address: str) -> HttpResponse:
    """Count the failure against its source, and answer it.

    After the look-up, not before it: keys cannot be guessed, and whoever shares an address with
    the card host must not be able to shut it out.
    """
    admission = throttling.admit("api", address=address)
    if isinstance(admission, Refusal):
        return problem(
            429,
            "Too many requests without a valid key came from this address.",
            headers={"Retry-After": str(admission.retry_after)},
        )
    logger.warning("api: no valid key, from %s", address)
    return problem(
        401,
        "Send a valid key: Authorization: Bearer <key>.",
        headers={"WWW-Authenticate": 'Bearer realm="api"'},
    )


api = NinjaAPI(
    title="Member service: card host",
    version="1",
    description="Whether a card and a PIN go together: docs/card-host.md.",
    parser=JsonOnly(),
    docs_url=None,
    docs_decorator=require_safe,
)


@api.post(
    "/card-verifications",
    auth=ApiKeyBearer(ApiKey.Scope.CARD_VERIFICATIONS),
    response=Answer,
    **VERIFY_CARD,
)
def verify_card(request: HttpRequest, question: Question) -> Answer | HttpResponse:
    answer = card_verification.verify(
        by=request.auth,  # type: ignore[attr-defined]
        card_number=question.card_number,
        pin=question.pin,
        terminal=question.terminal,
        trace=question.trace,
        source=client_address(request),
    )
    if isinstance(answer, Refusal):
        return _refused(answer)
    return Answer(trace=question.trace, response_code=answer)


def _refused(refusal: Refusal) -> HttpResponse:
    if refusal is OTHER_CONTENTS:
        return problem(409, refusal.reason, kind="trace-reused", title="Trace number used before")
    wait = {"Retry-After": str(refusal.retry_after)}
    if refusal is card_verification.STILL_RUNNING:
        return problem(
            409,
            refusal.reason,
            kind="still-answering",
            title="Not answered yet",
            headers=wait,
        )
    assert refusal.why is Why.BUSY  # noqa: S101 there is no other
    return _unavailable(refusal.retry_after)


def _unavailable(seconds: int) -> HttpResponse:
    """Say that nothing can be said now: the answer in the card host's own words comes along."""
    return problem(
        503,
        "The question was not answered. Ask it again as it is, with the same trace number.",
        headers={"Retry-After": str(seconds)},
        response_code=Code.UNAVAILABLE,
    )


@api.exception_handler(Stop)
def _stop(request: HttpRequest, error: Stop) -> HttpResponse:
    return error.answer


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    # The library wraps what a parser raises.
    cause = error.__cause__
    return cause.answer if isinstance(cause, Stop) else problem(error.status_code, "Refused.")


_WHAT_IS_WRONG = {
    "missing": "is missing",
    "string_type": "is not a string",
    "string_pattern_mismatch": "has not the form that the document describes",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "extra_forbidden": "has a member that the document does not describe",
}


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Point at what is wrong, in our words: neither values nor unknown names are repeated."""
    found = []
    for one in error.errors:
        name = one["loc"][-1]
        pointer = f"#/{name}" if name in Question.model_fields else "#"
        what = _WHAT_IS_WRONG.get(one["type"], "is not as the document describes")
        if {"pointer": pointer, "detail": what} not in found:
            found.append({"pointer": pointer, "detail": what})
    return problem(400, "The question is malformed.", errors=found)


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    if isinstance(error, _OUT_OF_REACH):
        logger.error("api: out of reach: %s", type(error).__name__)
        return _unavailable(RETRY_AFTER_SECONDS)
    # Django logs it; portal/views.py answers.
    raise error


_patterns, _app, _namespace = api.urls
for _pattern in _patterns:
    _pattern.callback = for_machines(_pattern.callback)  # type: ignore[arg-type]

urlpatterns = [
    path("v1/", include((_patterns, _app), namespace=_namespace)),
    re_path("", nothing_here),
]
