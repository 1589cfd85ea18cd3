"""Health, and the pages for when something is wrong with the request or with us."""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from limits.errors import StorageError

from credentials.counters import counters
from credentials.mail import waiting
from credentials.problems import is_for_machines, problem
from portal.middleware import BodyTooLarge

RETRY_AFTER = "10"
_OUT_OF_REACH = (OperationalError, InterfaceError, StorageError)
# Of PostgreSQL's states that Django calls internal errors: a standby where the primary should be,
# and a transaction that the server gave up because we did not go on with it.
_NOT_OURS = {"25006", "25P03"}


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that this process is alive; asks nothing of anybody else."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer whether database, cache and outbox are reachable: 200, or 503 with Retry-After."""
    state = {name: _state(check) for name, check in (("database", _database), ("cache", _cache))}
    # It is in the database, which need not be waited for a second time.
    state["outbox"] = _state(_outbox) if state["database"] == "ok" else state["database"]
    ready = set(state.values()) == {"ok"}
    response = JsonResponse(state, status=200 if ready else 503)
    if not ready:
        response["Retry-After"] = RETRY_AFTER
    return response


def _state(check: Callable[[], object]) -> str:
    """Return `ok`, or the kind of error and nothing of what it says."""
    try:
        check()
    except Exception as error:
        return type(error).__name__
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _cache() -> None:
    if not counters().check():
        raise ConnectionError


def _outbox() -> None:
    waiting().exists()


def is_out_of_reach(error: BaseException | None) -> bool:
    """Whether the error is that database or counters are gone, and not ours."""
    state = getattr(getattr(error, "__cause__", None), "sqlstate", None)
    return isinstance(error, _OUT_OF_REACH) or state in _NOT_OURS


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say what to do about a request that cannot be read."""
    if is_for_machines(request):
        if isinstance(exception, BodyTooLarge):
            return problem(413, "The body is too large.")
        return problem(400, "The request cannot be read.")
    return HttpResponse(render_to_string("400.html", request=None), status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that the page was open for too long, and to load it anew."""
    return render(request, "403_csrf.html", status=403)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that it is our fault: 503 where database or cache are gone, 500 otherwise."""
    gone = is_out_of_reach(sys.exc_info()[1])
    template, status = ("503.html", 503) if gone else ("500.html", 500)
    if is_for_machines(request):
        response = problem(status, "The error is on our side.")
    else:
        response = HttpResponse(render_to_string(template), status=status)
    response["Cache-Control"] = "no-store"
    if gone:
        response["Retry-After"] = RETRY_AFTER
    return response
