"""Which requests are read at all, who must sign in first, what every answer tells the browser.

Beyond Django's SecurityMiddleware and the content security policy.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import parse_header_parameters

from credentials.problems import is_for_machines, problem
from credentials.throttling import client_address

logger = logging.getLogger(__name__)

# By its path, not by name: a process for members alone has no such pages (SERVE).
_STAFF = "/admin/"
# No longer than a length can be: Python does not read a number of thousands of digits.
_LENGTH = re.compile(r"[0-9]{1,18}")
_PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class BrowserRules:
    """Sets Permissions-Policy, and keeps pages out of every cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", _PERMISSIONS_POLICY)
        response["Cache-Control"] = "no-store"
        return response


class MachinesOverTls:
    """Refuses the API over plain HTTP, where a page redirects to HTTPS.

    The client has sent its key and a PIN in clear by then. A redirect would be followed, and so
    would every later request begin: nobody would notice. A refusal is noticed the first time.
    403, because whoever asks this way is not let in: 421 would invite to ask again elsewhere.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SECURE_SSL_REDIRECT and is_for_machines(request) and not request.is_secure():
            logger.error("api: asked over plain HTTP, from %s", client_address(request))
            return problem(403, "Use https://. What was sent in clear counts as known: replace it.")
        return self.get_response(request)


class BodyTooLarge(BadRequest):
    """The body is larger than the largest form, or has no length that can be read."""


class SignInFirst(LoginRequiredMiddleware):
    """Sends strangers to the sign-in page: from the staff's pages to the staff's one."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        # Asked first: Django's own looks up who it is before, which health must not need.
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirect:
        if request.path.startswith(_STAFF):
            return redirect_to_login(request.get_full_path(), f"{_STAFF}login/")
        return super().handle_no_permission(request, view_func)


class ReadableRequests:
    """Answers 400 to what no form of ours sends, before anything is read or counted.

    A body larger than the largest form (a multipart one would be held in memory whole), another
    encoding than UTF-8 (Python's codecs decode some into what no database stores), and NUL.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not _LENGTH.fullmatch(length) or int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge("body too large")
        if not _is_utf_8(request.META.get("CONTENT_TYPE", "")):
            raise BadRequest("not UTF-8")
        if any("\0" in text for text in _texts(request)):
            raise BadRequest("NUL")
        return self.get_response(request)


def _is_utf_8(content_type: str) -> bool:
    """Whether nothing else is said; a name that nobody knows says nothing."""
    try:
        _kind, said = parse_header_parameters(content_type)
        charset = said.get("charset", "")
        codecs.lookup(charset)
    except LookupError:
        return True
    except ValueError:
        return False
    return charset.lower() == "utf-8"


def _texts(request: HttpRequest) -> Iterator[str]:
    """Yield what the address and the cookies say; forms read the body and refuse NUL there."""
    yield request.path
    yield from request.COOKIES.values()
    for name, values in request.GET.lists():
        yield name
        yield from values
