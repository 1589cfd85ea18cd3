"""Throttling by source: how often one address may fail, and on how many accounts.

A source is an IPv4 address or an IPv6 /64; the /48 around that counts too, with larger shares.
Like the count of a member's failures, an attempt is counted before it is judged and forgiven when
it succeeds: so parallel attempts cannot pass a check that none of them has counted against yet.
Where the counters are out of reach, StorageError is raised, and nothing that is throttled goes on
(but for what credentials.login says).
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from limits import parse
from limits.errors import StorageError

from credentials.codes import digest
from credentials.counters import counters, seconds_left
from credentials.refusals import Refusal, Why

logger = logging.getLogger(__name__)


def client_address(request: HttpRequest) -> str:
    """Return the client's address.

    Each proxy appends the peer it saw to X-Forwarded-For, so only the last TRUSTED_PROXIES
    entries are somebody's word that we trust; what stands left of them a client can invent.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    if not settings.TRUSTED_PROXIES:
        return _address_or_nothing(peer)
    hops = [*request.META.get("HTTP_X_FORWARDED_FOR", "").split(","), peer]
    seen = hops[-1 - settings.TRUSTED_PROXIES :][0].strip()
    return _address_or_nothing(seen) or _address_or_nothing(peer)


# Some proxies add the client's port: 192.0.2.1:5678, [2001:db8::1]:5678.
_WITH_PORT = re.compile(r"(?P<v4>[\d.]+):\d+|\[(?P<v6>[^\]]+)\](?::\d+)?")


def _address_or_nothing(text: str) -> str:
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port["v4"] or with_port["v6"]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address).split("%")[0]


@dataclass(frozen=True)
class Share:
    """Whom a failure counts against, and how many times the limits that one may fail."""

    source: str
    times: int = 1


def shares_of(address: str) -> tuple[Share, ...]:
    """Return the shares that a failure from `address` takes from: its own, or its networks'.

    Whoever has one IPv6 address has a /64 of them, and many have a /48 of /64s. But a /48 can
    also be the neighbourhood of thousands on their phones, so it may fail more often.
    """
    if ":" not in address:
        return (Share(address),)
    return (
        Share(str(ip_network(f"{address}/64", strict=False))),
        Share(str(ip_network(f"{address}/48", strict=False)), settings.SOURCE_SITE_FACTOR),
    )


@dataclass(frozen=True)
class Admission:
    """An attempt that was let in, and counted in advance against its source.

    `counted`: counters that it raised, with their seconds. `places`: the counters of one account
    and of all accounts of a source, with their seconds.
    """

    counted: tuple[tuple[str, int], ...] = ()
    places: tuple[tuple[str, str, int], ...] = ()

    def forgive(self) -> None:
        """Take the count back: the attempt was no failure. With the counters gone it stays."""
        with suppress(StorageError):
            for key, seconds in self.counted:
                _take_back(key, seconds)
            for of_account, of_accounts, seconds in self.places:
                # The place is given up by whoever is the last to hold it.
                if _take_back(of_account, seconds) == 0:
                    _take_back(of_accounts, seconds)


def _take_back(key: str, seconds: int) -> int:
    left = counters().incr(key, seconds, amount=-1)
    if left < 0:
        # It ended in the meantime, and nobody is to begin the next one with a credit.
        counters().incr(key, seconds)
    return left


# Let in without being counted; see credentials.login.
UNCOUNTED = Admission()


def admit(purpose: str, *, address: str, account: str = "") -> Admission | Refusal:
    """Count an attempt against its source, or refuse it where the source had its share.

    `purpose` keeps the shares of sign-in, registration and tickets apart. `account` is what was
    typed to name the account, known or not; empty where accounts do not matter.
    """
    return _admit(purpose, shares_of(address), account)


def admit_staff(purpose: str, *, by: str, account: str) -> Admission | Refusal:
    """Count what a member of staff tries against themselves; as above.

    `by`: how the record names them. A whole call centre shares one address, and must not be shut
    out with one of its people.
    """
    admission = _admit(purpose, (Share(by),), account)
    if isinstance(admission, Refusal):
        return replace(admission, reason=_too_many(admission.retry_after))
    return admission


def _too_many(seconds: int) -> str:
    return _("You typed too many wrong ones. Wait %(minutes)s minutes and try again.") % {
        "minutes": -(-seconds // 60)
    }


def _admit(purpose: str, shares: tuple[Share, ...], account: str) -> Admission | Refusal:
    failures = parse(settings.SOURCE_FAILURE_LIMIT)
    accounts = parse(settings.SOURCE_ACCOUNT_LIMIT)
    storage = counters()
    counted: list[tuple[str, int]] = []
    places: list[tuple[str, str, int]] = []

    def refuse(key: str, source: str) -> Refusal:
        Admission(tuple(counted), tuple(places)).forgive()
        # Once, and not for each of the thousands that may follow.
        if storage.incr(f"throttle:told:{key}", seconds) == 1:
            logger.warning("throttled: %s from %s", purpose, source)
        return Refusal(Why.THROTTLED, retry_after=seconds_left(storage, key, at_most=seconds))

    seconds = failures.get_expiry()
    for share in shares:
        of_source = f"throttle:{purpose}:failures:{share.source}"
        counted.append((of_source, seconds))
        if storage.incr(of_source, seconds) > failures.amount * share.times:
            return refuse(of_source, share.source)
    seconds = accounts.get_expiry()
    for share in shares if account else ():
        of_account = f"throttle:{purpose}:account:{share.source}:{digest('throttle', account)}"
        of_accounts = f"throttle:{purpose}:accounts:{share.source}"
        # The place first, then whose it is. Who finds that the account has one gives the new one
        # back and looks again: the other attempt's place may have come after, and over the limit.
        taken = storage.incr(of_accounts, seconds)
        places.append((of_account, of_accounts, seconds))
        if storage.incr(of_account, seconds) > 1:
            taken = storage.incr(of_accounts, seconds, amount=-1)
        if taken > accounts.amount * share.times:
            return refuse(of_accounts, share.source)
    return Admission(tuple(counted), tuple(places))
