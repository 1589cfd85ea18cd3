"""Known devices: browsers in which a member has signed in before.

A browser keeps a signed cookie, set at a member's sign-in and at nothing else. It names up to
five accounts, for a family's phone, each by a keyed digest of the user and the user's device
epoch: so it is worth nothing for any other account, and every act that raises the epoch makes it
worthless. It opens nothing and buys no guess; it only keeps the way in open where that is closed
to strangers (credentials.login). No clock judges it: it holds until the epoch is raised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from credentials import codes

ACCOUNTS = 5
KEPT_SECONDS = 400 * 86400
NAME_LENGTH = 200
_signer = Signer(salt="credentials.devices")


@dataclass(frozen=True)
class Device:
    """The browser of a request: which accounts it signed in before, and what it calls itself."""

    entries: tuple[str, ...] = ()
    name: str = ""

    def knows(self, user_id: int, device_epoch: int) -> bool:
        """Whether this user has signed in here since the device epoch was raised."""
        entry = _entry(user_id, device_epoch)
        return any(codes.same(one, entry) for one in self.entries)

    def knowing(self, user_id: int, device_epoch: int) -> Device:
        """Return the device as it is once this user has signed in: the latest comes first."""
        entry = _entry(user_id, device_epoch)
        others = (one for one in self.entries if one != entry)
        return replace(self, entries=(entry, *others)[:ACCOUNTS])


def of(request: HttpRequest) -> Device:
    """Return the device that a request comes from; one that knows nobody where it says nothing."""
    raw = request.META.get("HTTP_USER_AGENT", "")
    name = "".join(one for one in raw if one.isprintable())[:NAME_LENGTH]
    try:
        entries = _signer.unsign_object(request.COOKIES.get(settings.DEVICES_COOKIE_NAME, ""))
    except BadSignature:
        return Device(name=name)
    return Device(tuple(entries[:ACCOUNTS]), name)


def keep(device: Device, response: HttpResponseBase) -> None:
    """Have the browser keep what is known about it."""
    response.set_cookie(
        settings.DEVICES_COOKIE_NAME,
        _signer.sign_object(list(device.entries)),
        max_age=KEPT_SECONDS,
        secure=settings.SECURE,
        httponly=True,
        samesite="Lax",
    )


def _entry(user_id: int, device_epoch: int) -> str:
    # Half of it is as hard to guess, and the cookie goes along with every request.
    return codes.digest("device", str(user_id), str(device_epoch))[:32]
