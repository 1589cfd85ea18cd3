"""The count of failures: never more than the limit judged, in whatever order attempts end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import sampled_from

from credentials import attempts, suspension
from credentials.attempts import Attempt
from credentials.models import Decoy, Event
from members.models import Member, User, Way
from tests.clock import time_passes
from tests.factories import PIN, MemberFactory, StaffFactory
from tests.pages import browser, fail, user_of, with_card, with_web_id

pytestmark = pytest.mark.django_db


def reserve(member: Member) -> Attempt | None:
    return attempts.reserve(Way.CARD, member.card.number)


def settle_failure(member: Member, attempt: Attempt | None) -> None:
    suspension.fail(attempt, way=Way.CARD, name=member.card.number, source="198.51.100.4")


def settle_success(attempt: Attempt) -> bool:
    noted = attempts.sign_in_noted(way=Way.CARD, language="ja")
    return attempts.settle_success(attempt, **noted)


def test_no_more_attempts_than_the_limit_are_judged() -> None:
    member = MemberFactory()
    reserved = [reserve(member) for _ in range(12)]
    assert [attempt is not None for attempt in reserved] == [True] * 5 + [False] * 7


def test_attempt_counts_from_the_moment_it_begins() -> None:
    member = MemberFactory()
    reserve(member)
    assert user_of(member).failures == 1


def test_success_clears_the_attempts_up_to_its_own_and_no_later_ones() -> None:
    member = MemberFactory()
    first, second, third = (reserve(member) for _ in range(3))
    assert first
    assert second
    assert third
    assert settle_success(second)
    assert user_of(member).failures == 1
    settle_failure(member, third)
    assert user_of(member).failures == 1
    assert settle_success(first)
    assert user_of(member).failures == 1, "an older success took a newer failure back"


def test_right_secret_that_arrives_after_the_suspension_opens_nothing() -> None:
    member = MemberFactory()
    slow = reserve(member)
    assert slow
    for _ in range(4):
        settle_failure(member, reserve(member))
    assert suspension.is_in_force(user_of(member))
    assert not settle_success(slow)
    assert user_of(member).sign_in_at is None


def test_right_secret_that_was_begun_before_a_suspension_passed_opens_nothing() -> None:
    member = MemberFactory()
    slow = reserve(member)
    assert slow
    for _ in range(4):
        settle_failure(member, reserve(member))
    time_passes(hours=25)
    assert not settle_success(slow), "the epoch has changed since"


def test_closing_the_account_beats_a_success_on_its_way() -> None:
    member = MemberFactory()
    attempt = reserve(member)
    assert attempt
    type(member.user).objects.filter(member=member).update(is_active=False)
    assert not settle_success(attempt)


def test_both_ways_share_one_count() -> None:
    member = MemberFactory(web_id="Hanako1983")
    for _ in range(2):
        with_card(browser(), member, pin="0099")
    for _ in range(2):
        with_web_id(browser(), member, password="not the right one")
    assert user_of(member).failures == 4
    with_card(browser(), member, pin="0099")
    assert suspension.is_in_force(user_of(member))


def test_success_by_one_way_clears_the_failures_of_both() -> None:
    member = MemberFactory(web_id="Hanako1983")
    fail(member, 4)
    assert with_web_id(browser(), member).status_code == 302
    assert user_of(member).failures == 0


def test_attempt_at_the_limit_that_a_crash_left_is_suspended_by_the_next_one() -> None:
    member = MemberFactory()
    fail(member, 4)
    assert reserve(member), "the fifth, whose process dies now"
    settle_failure(member, reserve(member))
    assert not suspension.is_in_force(user_of(member)), "it may still be under way"
    time_passes(seconds=61)
    assert with_card(browser(), member).status_code == 200, "right, but too late"
    assert suspension.is_in_force(user_of(member))
    assert Event.objects.filter(act=Event.Act.SUSPENDED, whom=member.number).count() == 1


def test_attempts_that_a_crash_left_stay_counted() -> None:
    member = MemberFactory()
    for _ in range(3):
        reserve(member)
    fail(member, 2)
    assert suspension.is_in_force(user_of(member))


def test_staff_and_members_are_named_by_their_own_ways_only() -> None:
    member, staff = MemberFactory(web_id="Hanako1983"), StaffFactory()
    assert attempts.reserve(Way.CARD, member.number) is None
    assert attempts.reserve(Way.WEB_ID, member.number) is None
    assert attempts.reserve(Way.STAFF, member.number) is None
    assert attempts.reserve(Way.STAFF, "Hanako1983") is None
    assert attempts.reserve(Way.WEB_ID, staff.username) is None
    assert attempts.reserve(Way.CARD, staff.username) is None


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_are_judged_as_often_as_the_limit_allows() -> None:
    member = MemberFactory()
    number = member.card.number

    def guess(_turn: int) -> bool:
        try:
            return attempts.reserve(Way.CARD, number) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(guess, range(40))) == 5


class TwoActors(RuleBasedStateMachine):
    """Two actors try, succeed, fail and crash on one account, in every interleaving."""

    LIMIT = 3
    actors = sampled_from(["one", "two"])

    def __init__(self) -> None:
        super().__init__()
        self.member = MemberFactory(pin="")
        self.under_way: dict[str, Attempt] = {}
        # Attempts since the last clear, by their number; and those whose end never comes.
        self.counted: set[int] = set()
        self.stranded: set[int] = set()
        self.suspensions_seen = 0

    def _look(self) -> None:
        """Take note of a suspension that has just begun: it settles all attempts so far."""
        begun = Event.objects.filter(act=Event.Act.SUSPENDED, whom=self.member.number).count()
        if begun > self.suspensions_seen:
            self.suspensions_seen = begun
            self.counted.clear()
            self.stranded.clear()

    @rule(actor=actors)
    def begin(self, actor: str) -> None:
        if actor in self.under_way:
            return
        suspended = suspension.is_in_force(user_of(self.member))
        attempt = reserve(self.member)
        assert not (attempt and suspended), "an attempt was judged during a suspension"
        if attempt:
            self.under_way[actor] = attempt
            self.counted.add(attempt.number)
        else:
            settle_failure(self.member, None)
            self._look()

    @precondition(lambda self: self.under_way)
    @rule(actor=actors)
    def fail(self, actor: str) -> None:
        if attempt := self.under_way.pop(actor, None):
            settle_failure(self.member, attempt)
            self._look()

    @precondition(lambda self: self.under_way)
    @rule(actor=actors)
    def succeed(self, actor: str) -> None:
        if attempt := self.under_way.pop(actor, None):
            before = user_of(self.member)
            opened = settle_success(attempt)
            outdated = before.epoch != attempt.epoch or suspension.is_in_force(before)
            assert opened != outdated, "a session after a suspension, or none without one"
            if opened:
                self.counted = {number for number in self.counted if number > attempt.number}
                self.stranded &= self.counted
            else:
                settle_failure(self.member, attempt)
                self._look()

    @precondition(lambda self: self.under_way)
    @rule(actor=actors)
    def crash(self, actor: str) -> None:
        if attempt := self.under_way.pop(actor, None):
            self.stranded |= {attempt.number} & self.counted

    @precondition(lambda self: not self.under_way)
    @rule()
    def a_minute_passes_and_somebody_tries(self) -> None:
        time_passes(seconds=61)
        self.stranded.clear()
        self.begin("one")

    @rule()
    def the_suspension_passes(self) -> None:
        time_passes(hours=25)

    @invariant()
    def no_more_than_the_limit_were_judged_since_the_last_clear(self) -> None:
        assert len(self.counted) <= self.LIMIT

    @invariant()
    def the_limit_reached_with_nothing_under_way_is_a_suspension(self) -> None:
        pending = {attempt.number for attempt in self.under_way.values()} & self.counted
        if not pending and not self.stranded:
            assert len(self.counted) < self.LIMIT


def test_two_actors_in_any_interleaving_stay_within_the_limit(settings: Any, db: None) -> None:
    settings.LOGIN_FAILURE_LIMIT = TwoActors.LIMIT
    settings.SUSPENSIONS_UNTIL_IN_PERSON = 1000
    run_state_machine_as_test(TwoActors, settings=INTERLEAVINGS)


INTERLEAVINGS = settings(
    max_examples=30,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


def test_right_pin_after_four_failures_still_signs_in() -> None:
    member = MemberFactory()
    fail(member, 4)
    assert with_card(browser(), member, pin=PIN).status_code == 302


def test_what_no_account_counts_a_decoy_counts() -> None:
    """Both write a row and wait for the disk, so that the time does not tell them apart."""
    closed = MemberFactory()
    User.objects.filter(member=closed).update(is_active=False)
    for number in ("4900000000000003", closed.card.number):
        before = Decoy.objects.aggregate(all=Sum("attempts"))["all"] or 0
        assert attempts.reserve(Way.CARD, number) is None
        assert Decoy.objects.aggregate(all=Sum("attempts"))["all"] == before + 1
    assert reserve(MemberFactory())
    assert Decoy.objects.aggregate(all=Sum("attempts"))["all"] == before + 1
