"""What happened since a backup was made, read from the record's copy, and what of it protects.

Events tell what an act did, not all that it wrote: a suspension can be put in force again, a PIN
cannot be put back on the card. So what protects is applied again, and what cannot be is listed
for people.
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import F
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from credentials import audit, closure, suspension
from credentials.models import ApiKey, Closure, Event, IdentityCheck, RecoveryCode, SecondFactor
from members.models import Card, Member, User, Way

Act = Event.Act
_FAILURES = {Act.SIGN_IN_FAILED, Act.CARD_REFUSED, Act.SECOND_FACTOR_FAILED}
_SUCCESSES = {Act.SIGNED_IN, Act.CARD_VERIFIED}
_LIFTED = {Act.REINSTATED, Act.PIN_SET}
_CHECKED_BY = ("channel", "asked", "answered", "document", "place")
# What else changed how somebody may come in.
_ELSE = {
    Act.MEMBERSHIP_CLOSED,
    Act.CLOSURE_ASKED,
    Act.CLOSURE_CHECKED,
    Act.CLOSURE_WITHDRAWN,
    Act.STAFF_CHANGED,
    Act.IDENTITY_FAILED,
    Act.SECOND_FACTOR_RESET,
    Act.SECOND_FACTOR_ENROLLED,
    Act.RECOVERY_CODES_MADE,
    Act.WEB_ID_REGISTERED,
    Act.SUSPENDED,
}
_FED = {Act.ADDRESS_CHANGED, Act.CARD_CHANGED}
# These raise the device epoch; a suspension does that was not for failures.
_DISTRUSTED = {
    Act.SIGN_IN_DISOWNED,
    Act.PIN_RESET_STARTED,
    Act.PIN_SET,
    Act.MEMBERSHIP_CLOSED,
    *_FED,
}
_OF_A_PERSON = _FAILURES | _SUCCESSES | _LIFTED | _DISTRUSTED | _ELSE


def stride() -> int:
    """Return how far this restore raises a device epoch.

    Further than the acts of the lost time did, those included that were never sealed; and by
    another way each time, for a backup may be restored twice. So no cookie of then fits again.
    """
    return 1000 + secrets.randbelow(1_000_000)


@dataclass
class Person:
    """What the acts since the backup came to for one member, or one member of staff."""

    settled: bool = False
    failures: int = 0
    # In a row; None: as many as the backup has.
    suspensions: int | None = None
    suspended_at: datetime | None = None
    suspended_until: datetime | None = None
    disowned_at: datetime | None = None
    # The ways whose secret was stopped: what the backup brings back is in strange hands.
    stopped: set[str] = field(default_factory=set)
    distrusted: bool = False
    acts: set[str] = field(default_factory=set)
    closed: Event | None = None
    staff_changes: list[Event] = field(default_factory=list)
    failed_checks: list[Event] = field(default_factory=list)

    def see(self, event: Event) -> None:
        """Take in the next event about this person."""
        act = event.act
        self.acts.add(act)
        suspended_otherwise = act == Act.SUSPENDED and event.by != audit.SYSTEM
        self.distrusted |= act in _DISTRUSTED or suspended_otherwise
        if act == Act.SIGN_IN_DISOWNED:
            self.disowned_at = event.at
            self.stopped |= set(event.details["stopped"])
        elif act == Act.SUSPENDED:
            # What was disowned is on record just before, and belongs to this suspension.
            since = self.disowned_at or event.at
            self._settle(in_a_row=event.details.get("in_a_row"))
            self.suspended_at = since
            until = event.details.get("until", suspension.IN_PERSON)
            self.suspended_until = None if until == suspension.IN_PERSON else parse_datetime(until)
        elif act in _SUCCESSES | _LIFTED:
            self._settle(in_a_row=0 if event.details.get("row_ends", True) else None)
        elif act in _FAILURES and event.details.get("failures") and not self._stopped_at(event.at):
            self.failures += 1
        elif act == Act.MEMBERSHIP_CLOSED:
            self.closed = event
        elif act == Act.STAFF_CHANGED:
            self.staff_changes.append(event)
        elif act == Act.IDENTITY_FAILED and "channel" in event.details:
            # Without a channel it was not about a caller who wants something: it closes none.
            self.failed_checks.append(event)
        if act == Act.SIGNED_IN and event.details.get("second") == "recovery code":
            self.acts.add(Act.RECOVERY_CODES_MADE)

    def _settle(self, *, in_a_row: int | None) -> None:
        self.settled, self.failures = True, 0
        if in_a_row is not None:
            self.suspensions = in_a_row
        self.suspended_at = self.suspended_until = self.disowned_at = None

    def _stopped_at(self, moment: datetime) -> bool:
        """Whether an attempt that ended then was begun before the suspension, and settled by it."""
        if self.suspended_at is None:
            return False
        return self.suspended_until is None or moment < self.suspended_until


class Since:
    """All events since the backup, by whom they are about. Memory grows with the people only."""

    def __init__(self) -> None:
        self.people: defaultdict[str, Person] = defaultdict(Person)
        self.keys_made: list[str] = []
        self.keys_revoked: dict[str, datetime] = {}
        self.pin_keys_rotated = False

    def see(self, event: Event) -> None:
        """Take in the next event, in the order of the chain."""
        if event.act == Act.API_KEY_MADE:
            self.keys_made.append(event.details["key"])
        elif event.act == Act.API_KEY_REVOKED:
            self.keys_revoked[event.details["key"]] = event.at
        elif event.act == Act.KEYS_ROTATED:
            self.pin_keys_rotated = True
        elif event.whom and event.act in _OF_A_PERSON:
            self.people[event.whom].see(event)


class Applied:
    """What was put in force again, counted; and what people must see to, with whom it is about.

    `device_stride`: how far the device epochs go up. `fed`: whether the feed is in already.
    """

    def __init__(self, *, device_stride: int, fed: bool) -> None:
        self._device_stride, self._fed = device_stride, fed
        self.counts: Counter[str] = Counter()
        self.for_people: defaultdict[str, list[str]] = defaultdict(list)

    def all_of(self, since: Since) -> None:
        """Apply all that protects. In the caller's transaction."""
        for whom, person in since.people.items():
            user = _user(whom)
            if user is None:
                self.for_people[
                    "not in this database: restore again with --feed, or see to them by hand"
                ].append(whom)
                continue
            self._count_and_suspension(user, person)
            if user.member is None:
                self._staff(user, person, whom)
            else:
                self._member(user.member, person)
        self._keys(since)

    def _count_and_suspension(self, user: User, person: Person) -> None:
        changes: dict[str, Any] = {}
        if person.settled:
            changes = {
                "attempts_cleared": F("attempts"),
                "suspended_at": person.suspended_at,
                "suspended_until": person.suspended_until,
            }
        if person.suspensions is not None:
            changes["suspensions"] = person.suspensions
        if person.failures:
            changes |= {"attempts": F("attempts") + person.failures, "last_attempt_at": Now()}
        if person.distrusted:
            changes["device_epoch"] = F("device_epoch") + self._device_stride
        if changes:
            User.objects.filter(pk=user.pk).update(**changes)
        if person.suspended_at is not None:
            self.counts["suspensions"] += suspension.is_in_force(user)
        self.counts["failures"] += person.failures
        self.counts["disowned"] += Act.SIGN_IN_DISOWNED in person.acts

    def _member(self, member: Member, person: Person) -> None:
        whom = member.number
        if person.closed:
            _close(member, person.closed)
            self.counts["closures"] += 1
            return
        if Way.WEB_ID in person.stopped or Act.WEB_ID_REGISTERED in person.acts:
            # The backup may have an older one, whose password was stopped or replaced.
            User.objects.filter(member=member).update(password=UNUSABLE_PASSWORD_PREFIX)
            self.for_people["Web-ID stopped or registered since: register it anew"].append(whom)
        if person.acts & {Act.PIN_RESET_STARTED, Act.PIN_SET} or Way.CARD in person.stopped:
            Card.objects.filter(member=member).update(
                sealed_pin="", pin_origin=Card.Origin.IN_PERSON, pin_set_at=None
            )
            self.counts["pins"] += 1
            self.for_people["card without a PIN now: set one in person"].append(whom)
        for event in person.failed_checks:
            self._failed_check(member, event)
        if person.acts & {Act.CLOSURE_ASKED, Act.CLOSURE_CHECKED, Act.CLOSURE_WITHDRAWN}:
            self.for_people["closure asked for or taken back: take it down again"].append(whom)
        if person.acts & _FED and not self._fed:
            self.for_people["card, PIN or address changed by the feed: import it"].append(whom)

    def _failed_check(self, member: Member, event: Event) -> None:
        """So that three failures on the phone within a day still close that way."""
        staff = _user(event.by)
        if staff is None:
            self.for_people["failed verification, by staff not in this database: not counted"] += [
                f"{member.number}, {event.by}"
            ]
            return
        how = {name: event.details[name] for name in _CHECKED_BY if name in event.details}
        IdentityCheck.objects.create(member=member, by=staff, at=event.at, passed=False, **how)
        self.counts["failed_checks"] += 1

    def _staff(self, user: User, person: Person, whom: str) -> None:
        for event in person.staff_changes:
            if event.details.get("active") is False:
                User.objects.filter(pk=user.pk).update(is_active=False)
                self.counts["staff_closed"] += 1
            if "roles" in event.details:
                user.groups.remove(*user.groups.exclude(name__in=event.details["roles"]))
            if "password" in event.details.get("fields", []):
                User.objects.filter(pk=user.pk).update(password="!")  # noqa: S106 none at all
                self.for_people[
                    "password changed since, the old one opens nothing: give a new one"
                ].append(whom)
        if person.staff_changes:
            self.for_people["account or roles of staff changed: look at them"].append(whom)
        if person.acts & {Act.SECOND_FACTOR_RESET, Act.SECOND_FACTOR_ENROLLED}:
            SecondFactor.objects.filter(pk=user.pk).delete()
            self.counts["second_factors"] += 1
            self.for_people["second factor: enrols anew with the password alone"].append(whom)
        elif Act.RECOVERY_CODES_MADE in person.acts:
            RecoveryCode.objects.filter(second_factor=user.pk).delete()
            self.for_people["recovery codes made or used: make new ones"].append(whom)

    def _keys(self, since: Since) -> None:
        for prefix, at in since.keys_revoked.items():
            live = ApiKey.objects.filter(prefix=prefix, revoked_at__isnull=True)
            self.counts["api_keys"] += live.update(revoked_at=at)
        lost = [key for key in since.keys_made if key not in since.keys_revoked]
        if lost:
            self.for_people["API key lost: make another for the client"] += lost
        if since.pin_keys_rotated:
            self.for_people["PIN keys were rotated: keep the old ones, rotate again"] += ["all"]


def _user(whom: str) -> User | None:
    name = whom.removeprefix("staff:")
    wanted = {"member__number": whom} if name == whom else {"username": name}
    return User.objects.select_related("member").filter(**wanted).first()


def _close(member: Member, event: Event) -> None:
    """End the membership as it ended, with the row of its closure where the backup has none."""
    ended = {"state": Closure.State.CLOSED, "ended_at": event.at, "ended_by": event.by}
    if not Closure.objects.filter(member=member, ended_at__isnull=True).update(**ended):
        Closure.objects.create(
            member=member,
            via=event.details["via"],
            certificate=event.details["certificate"],
            asked_by=event.by,
            **ended,
        )
    closure.end_membership(member, at=event.at)
