"""What goes wrong in the API, told to machines: RFC 9457, `application/problem+json`.

Never with anything that was sent: what was sent may be a PIN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

API_PREFIX = "/api/"
MEDIA_TYPE = "application/problem+json"
# A problem that only repeats what the status says has no type of its own (RFC 9457, 4.2.1).
NO_TYPE = "about:blank"

View = Callable[..., HttpResponse]


def is_for_machines(request: HttpRequest) -> bool:
    """Whether whoever asks reads problems, and not pages."""
    return request.path.startswith(API_PREFIX)


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "",
    title: str = "",
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> HttpResponse:
    """Return a problem: its HTTP status, what happened this time, and further members.

    `kind` names one that a client may want to tell from others of its status; it comes with a
    `title` of its own. All texts are ours.
    """
    body = {
        "type": f"urn:member-portal:problem:{kind}" if kind else NO_TYPE,
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    # Whatever language the browser of whoever asks might want: machines are told in English.
    headers = {"Content-Language": "en", "Cache-Control": "no-store", **(headers or {})}
    return HttpResponse(json.dumps(body), status=status, content_type=MEDIA_TYPE, headers=headers)


def for_machines(view: View) -> View:
    """Let `view` be asked without session and CSRF token, and tell what goes wrong as a problem."""

    @csrf_exempt
    @login_not_required
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            return problem(404, "There is nothing at this address.")
        if response.status_code == 405:
            allowed = response["Allow"]
            return problem(405, f"Allowed here: {allowed}.", headers={"Allow": allowed})
        return response

    return answer


@for_machines
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Answer every address that no other pattern took."""
    raise Http404
