"""Yesterday's backup restored: what was open ends, what protects is in force again.

A block that is rolled back at its end stands for the time between the backup and its restoring:
the database is as it was before, only the record's copy knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from credentials import (
    api_keys,
    audit,
    closure,
    feed_changes,
    pin_reset,
    second_factor,
    sign_ins,
    staff_accounts,
    suspension,
    verification,
)
from credentials.models import (
    ApiClient,
    ApiKey,
    Event,
    IdentityCheck,
    PinReset,
    RecoveryCode,
    RegistrationRequest,
    Seal,
    SecondFactor,
    Session,
)
from credentials.record import sealing
from credentials.refusals import Refusal
from credentials.sessions import SessionStore
from credentials.sign_ins import SignIn
from members import pins
from members.models import Card, Member, User, Way
from tests.conftest import Browser, sign_in_staff
from tests.factories import PASSWORD, PIN, MemberFactory, StaffFactory
from tests.members import feeds
from tests.pages import (
    browser,
    code_in,
    fail,
    is_signed_in,
    user_of,
    verify,
    with_card,
    with_web_id,
)

pytestmark = pytest.mark.django_db
NEW_PIN = "9642"


@pytest.fixture(autouse=True)
def copy(settings: Any, tmp_path: Path) -> Path:
    path = tmp_path / "record.jsonl"
    settings.RECORD_COPY = str(path)
    return path


def seal() -> None:
    [*_] = sealing.seal_all()


@contextmanager
def since_the_backup() -> Iterator[None]:
    """Make a backup, let happen what happens in the block, lose the database, restore."""
    seal()
    with transaction.atomic():
        yield
        seal()
        transaction.set_rollback(True)


def after_restore(*arguments: str) -> str:
    """Return what the command says, also where it fails (and so exits 1)."""
    said = StringIO()
    try:
        call_command("after_restore", *arguments, stdout=said)
    except CommandError as error:
        return f"{said.getvalue()}\nFAILED: {error}"
    return said.getvalue()


def record_is_whole(copy: Path) -> bool:
    said = StringIO()
    call_command("verify_audit", "--copy", str(copy), stdout=said)
    return f"agrees up to position {Event.objects.count()}." in said.getvalue()


def reset_started(member: Member) -> str:
    ticket = pin_reset.start(
        member=member, by=StaffFactory(role="Store"), document="passport", place="Ueno"
    )
    assert isinstance(ticket, str)
    return ticket


def set_new_pin(member: Member, ticket: str) -> None:
    number = member.card.number
    set_ = pin_reset.set_pin(card_number=number, ticket=ticket, pin=NEW_PIN, source="192.0.2.1")
    assert set_ is None


def disown(member: Member, way: Way = Way.CARD) -> object:
    sign_in = SignIn(pk=1, at=now(), way=way, device="", is_new_device=True)
    return sign_ins.disown(
        user=user_of(member), sign_in=sign_in, session=SessionStore(), source="192.0.2.1"
    )


# --- What was open ends ---------------------------------------------------------------------


def test_old_sessions_are_refused(client: Browser) -> None:
    member = MemberFactory()
    with_card(client, member)
    kept, cookies = Session.objects.get(), deepcopy(client.cookies)
    with since_the_backup():
        pass
    assert is_signed_in(client)
    said = after_restore()
    assert "1 sessions" in said
    assert not is_signed_in(client)
    # Nor would its row open, should it come back from anywhere.
    kept.save(force_insert=True)
    client.cookies = cookies
    assert not is_signed_in(client)
    assert with_card(browser(), member).status_code == 302


def test_codes_tickets_and_verifications_end(
    client: Browser, deliver: Callable[[], list[EmailMessage]]
) -> None:
    one, other = MemberFactory(), MemberFactory()
    operator = StaffFactory(role="Call centre")
    asked = {"member_number": one.number, "email": one.email}
    client.post("/web-id/register/", asked)
    code = code_in(deliver()[0])
    browser(address="192.0.2.9").post("/web-id/register/", asked)
    ticket = reset_started(other)
    prepared = pin_reset.prepare_for_oneself(member=one, source="192.0.2.1")
    verify(one, operator)
    spoken = verification.make_hand_off_code(member=one, source="192.0.2.1")
    half_way = browser()
    half_way.post("/admin/login/", {"username": operator.username, "password": PASSWORD})
    with since_the_backup():
        pass
    assert "2 identity verifications" in after_restore()
    client.post("/web-id/register/code/", {"code": code})
    assert not Event.objects.filter(act=Event.Act.CODE_CONFIRMED).exists()
    assert not RegistrationRequest.objects.exclude(code_digest="").exists()
    said = [mail.subject for mail in deliver()]
    assert len(said) == 1, "nor does the second one's mail make a new code"
    assert not PinReset.objects.filter(ended_at__isnull=True).exists()
    number = other.card.number
    refusal = pin_reset.set_pin(card_number=number, ticket=ticket, pin=NEW_PIN, source="")
    assert isinstance(refusal, Refusal)
    assert isinstance(prepared, str)
    assert verification.opened(one, operator) is None
    given = verification.check_by_hand_off_code(member=one, by=operator, code=spoken)
    assert isinstance(given, Refusal)
    assert half_way.get("/admin/second-factor/").status_code == 302


# --- What protects is in force again --------------------------------------------------------


def test_a_suspension_since_is_in_force(copy: Path) -> None:
    member, for_good = MemberFactory(), MemberFactory()
    User.objects.filter(member=for_good).update(suspensions=2)
    with since_the_backup():
        fail(member, 5)
        fail(for_good, 5, address="198.51.100.5")
        suspended = [user_of(member), user_of(for_good)]
    assert user_of(member).suspended_at is None
    assert "2 suspensions in force again" in after_restore()
    now = [user_of(member), user_of(for_good)]
    for user, was in zip(now, suspended, strict=True):
        # The record has the moments of two statements of one transaction.
        assert abs((user.suspended_at - was.suspended_at).total_seconds()) < 5
        assert user.suspended_until == was.suspended_until
        assert (user.suspensions, user.failures) == (was.suspensions, 0)
    assert suspension.ends_only_in_person(now[1])
    assert with_card(browser(), member).status_code == 200
    assert record_is_whole(copy)


def test_a_suspension_that_has_passed_is_not_counted(settings: Any) -> None:
    settings.SUSPENSION_SECONDS = -1
    member = MemberFactory()
    with since_the_backup():
        fail(member, 5)
    assert "suspensions in force again" not in after_restore()
    user = user_of(member)
    assert user.suspended_at, "it is there all the same: it may be one of a row"
    assert (user.suspensions, suspension.is_in_force(user)) == (1, False)


def test_a_suspension_that_was_lifted_since_is_lifted() -> None:
    before, both = MemberFactory(), MemberFactory()
    fail(before, 5)
    with since_the_backup():
        fail(both, 5, address="198.51.100.5")
        for member in (before, both):
            staff = StaffFactory(role="Store")
            verify(member, staff)
            lifted = suspension.reinstate(user_of(member), by=staff, reason="asked")
            assert lifted is None
        fail(both, 2, address="198.51.100.6")
    assert suspension.is_in_force(user_of(before))
    after_restore()
    assert not suspension.is_in_force(user_of(before))
    assert not suspension.is_in_force(user_of(both))
    assert (user_of(before).failures, user_of(both).failures) == (0, 2)


def test_failures_since_the_last_success_are_counted() -> None:
    only_failed, succeeded = MemberFactory(), MemberFactory()
    fail(only_failed, 1)
    fail(succeeded, 3)
    with since_the_backup():
        fail(only_failed, 2)
        with_card(browser(), succeeded)
        fail(succeeded, 1)
    assert "3 failures counted again" in after_restore()
    assert (user_of(only_failed).failures, user_of(succeeded).failures) == (3, 1)


def test_a_failure_that_a_suspension_had_settled_is_not_counted_anew() -> None:
    """Of parallel attempts, one may be put on record after another one's suspension."""
    member = MemberFactory()
    with since_the_backup():
        fail(member, 5)
        late: dict[str, Any] = {"by": audit.VISITOR, "whom": member.number, "failures": 4}
        audit.record(Event.Act.SIGN_IN_FAILED, **late)
    after_restore()
    assert user_of(member).failures == 0


def test_an_old_pin_opens_nothing() -> None:
    started, was_set, untouched = MemberFactory(), MemberFactory(), MemberFactory()
    with since_the_backup():
        reset_started(started)
        set_new_pin(was_set, reset_started(was_set))
    for member in (started, was_set):
        card = Card.objects.get(member=member)
        assert pins.matches(card.sealed_pin, PIN, card_number=card.number), "the backup has it"
    said = after_restore()
    assert "2 PINs that were re-set or stopped" in said
    assert f"set one in person:\n    {started.number}\n    {was_set.number}\n" in said
    for member in (started, was_set):
        assert with_card(browser(), member).status_code == 200
        card = Card.objects.get(member=member)
        # As after any re-set: the feed brings no PIN back.
        assert (card.sealed_pin, card.pin_origin) == ("", Card.Origin.IN_PERSON)
    assert with_card(browser(), untouched).status_code == 302


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_closed_membership_is_closed(asked_before: bool) -> None:
    member = MemberFactory()
    one, other = StaffFactory(role="Call centre"), StaffFactory(role="Call centre")
    if asked_before:
        closure.ask(member=member, certificate=False, source="192.0.2.1")
    with since_the_backup():
        if not asked_before:
            closure.ask(member=member, certificate=True, source="192.0.2.1")
        this = closure.open_closure(member)
        assert this
        assert not closure.check(closure=this, by=one, no_balance=True, nothing_open=True)
        assert not closure.approve(closure=this, by=other)
    assert "1 memberships closed again" in after_restore()
    assert with_card(browser(), member).status_code == 200
    member.refresh_from_db()
    assert member.closed_at
    assert not user_of(member).is_active
    ended = member.closures.get()
    assert (ended.state, ended.ended_by) == (closure.State.CLOSED, audit.staff(other))
    assert ended.certificate is not asked_before


def test_failed_verifications_still_close_the_phone_way() -> None:
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    with since_the_backup():
        for _turn in range(3):
            verification.check_by_questions(member=member, by=operator, answered=["name"])
    assert not verification.phone_way_is_closed(member)
    after_restore()
    assert verification.phone_way_is_closed(member)
    assert IdentityCheck.objects.first().answered == ["name"]


def test_a_failed_verification_by_staff_who_are_gone_is_listed() -> None:
    member = MemberFactory()
    with since_the_backup():
        new = StaffFactory(role="Call centre")
        verification.check_by_questions(member=member, by=new, answered=["name"])
    assert f"not counted:\n    {member.number}, staff:{new}\n" in after_restore()


def test_a_caller_who_was_not_the_member_failed_no_verification() -> None:
    """To stop a card takes other answers, and wrong ones are no failed verification."""
    member, operator = MemberFactory(), StaffFactory(role="Call centre")
    with since_the_backup():
        for _turn in range(3):
            suspension.suspend(user_of(member), by=operator, reason="lost", said="nobody")
        assert Event.objects.filter(act=Event.Act.IDENTITY_FAILED).count() == 3
    assert "failed verifications" not in after_restore()
    assert not IdentityCheck.objects.filter(member=member).exists()


# --- Known devices --------------------------------------------------------------------------


def suspended_at_word(member: Member) -> None:
    staff = StaffFactory(role="Store")
    verify(member, staff)
    assert suspension.suspend(user_of(member), by=staff, reason="lost card") is None


def changed_by_the_feed(member: Member) -> None:
    plan = User.objects.filter(member=member)
    plan.update(epoch=F("epoch") + 1, device_epoch=F("device_epoch") + 1)
    feed_changes.tell([(member, None, True)])


def closed(member: Member) -> None:
    one, other = StaffFactory(role="Call centre"), StaffFactory(role="Call centre")
    closure.ask(member=member, certificate=False, source="192.0.2.1")
    this = closure.open_closure(member)
    assert this
    assert not closure.check(closure=this, by=one, no_balance=True, nothing_open=True)
    assert not closure.approve(closure=this, by=other)


def lifted(member: Member) -> None:
    fail(member, 5)
    staff = StaffFactory(role="Store")
    verify(member, staff)
    assert suspension.reinstate(user_of(member), by=staff, reason="asked") is None


def signed_out_everywhere(member: Member) -> None:
    client = browser()
    with_card(client, member)
    client.post("/sign-ins/")
    assert Event.objects.filter(act=Event.Act.SIGNED_OUT_EVERYWHERE).exists()


@pytest.mark.parametrize(
    "act",
    [
        disown,
        suspended_at_word,
        changed_by_the_feed,
        closed,
        reset_started,
        lambda member: set_new_pin(member, reset_started(member)),
    ],
)
def test_no_device_is_known_after_the_acts_that_say_so(act: Callable[[Member], object]) -> None:
    member = MemberFactory()
    with since_the_backup():
        act(member)
        lost = user_of(member).device_epoch
    assert lost
    after_restore()
    # Nor one that became known in the last seconds, whose acts nobody sealed.
    assert user_of(member).device_epoch > lost + 100


def test_a_pin_set_since_by_an_older_ticket_leaves_no_device_known() -> None:
    member = MemberFactory()
    ticket = reset_started(member)
    known = user_of(member).device_epoch
    with since_the_backup():
        set_new_pin(member, ticket)
    after_restore()
    assert user_of(member).device_epoch > known + 100


@pytest.mark.parametrize("act", [lifted, signed_out_everywhere, lambda member: fail(member, 5)])
def test_devices_stay_known_after_other_acts(act: Callable[[Member], object]) -> None:
    member = MemberFactory()
    with since_the_backup():
        act(member)
        assert user_of(member).device_epoch == 0
    after_restore()
    assert user_of(member).device_epoch == 0


def test_a_second_restore_raises_the_device_epoch_by_another_way() -> None:
    member, epochs = MemberFactory(), set()
    with since_the_backup():
        disown(member)
    for _turn in range(2):
        with transaction.atomic():
            after_restore()
            epochs.add(user_of(member).device_epoch)
            transaction.set_rollback(True)
    assert len(epochs) == 2


@pytest.mark.parametrize("way", [Way.CARD, Way.WEB_ID])
def test_a_disowned_secret_opens_nothing(way: Way) -> None:
    member = MemberFactory(web_id="hanako1983")
    with since_the_backup():
        assert disown(member, way) == (way,)
        assert suspension.is_disowned(user_of(member))
    after_restore()
    user = user_of(member)
    assert suspension.ends_only_in_person(user)
    assert suspension.is_disowned(user)
    User.objects.filter(pk=user.pk).update(suspended_at=None)
    by_card, by_web_id = browser(), browser()
    with_card(by_card, member)
    with_web_id(by_web_id, member)
    assert is_signed_in(by_card) == (way != Way.CARD)
    assert is_signed_in(by_web_id) == (way != Way.WEB_ID)


def test_a_disowned_sign_in_is_told_from_other_suspensions_however_slow_the_database() -> None:
    """Disowning writes two lines, the suspension's last: each has a moment of its own."""
    member, moment = MemberFactory(), now() - timedelta(minutes=1)
    with since_the_backup():
        for later, act, details in (
            (0, Event.Act.SIGN_IN_DISOWNED, {"stopped": []}),
            (7, Event.Act.SUSPENDED, {"until": suspension.IN_PERSON, "in_a_row": 0}),
        ):
            at = moment + timedelta(milliseconds=later)
            by: dict[str, Any] = {"by": audit.MEMBER, "whom": member.number}
            Event.objects.create(at=at, act=act, details=details, **by)
    after_restore()
    assert suspension.is_disowned(user_of(member))


def test_keys_revoked_since_are_revoked() -> None:
    admin = StaffFactory(is_superuser=True)
    client = ApiClient.objects.create(name="card host")

    def made() -> api_keys.NewKey:
        new = api_keys.make(
            client=client, scope=ApiKey.Scope.CARD_VERIFICATIONS, days=9, reason="x", by=admin
        )
        assert isinstance(new, api_keys.NewKey)
        return new

    revoked, kept = made(), made()
    with since_the_backup():
        assert api_keys.revoke(revoked.key, reason="lost", by=admin) is None
        lost = made()
    said = after_restore()
    assert api_keys.authenticate(revoked.text) is None
    assert api_keys.authenticate(kept.text)
    assert f"API key lost: make another for the client:\n    {lost.key.prefix}\n" in said


def test_staff_changed_since() -> None:
    admin = StaffFactory(is_superuser=True)
    closed, moved, renewed, app_lost, code_used = (
        StaffFactory(role="Call centre") for _turn in range(5)
    )
    codes = second_factor.replace_recovery_codes(SecondFactor.objects.get(pk=code_used.pk))
    with since_the_backup():
        User.objects.filter(pk=closed.pk).update(is_active=False)
        as_now: dict[str, Any] = {"by": admin, "source": "", "fields": ["is_active"]}
        staff_accounts.changed(closed, **as_now, active=False, roles=["Call centre"])
        staff_accounts.changed(moved, **as_now, active=True, roles=["Auditor"])
        staff_accounts.changed(renewed, by=admin, source="", fields=["password"])
        staff_accounts.reset_second_factor(app_lost, by=admin, reason="lost", source="")
        one = browser()
        one.post("/admin/login/", {"username": code_used.username, "password": PASSWORD})
        assert one.post("/admin/second-factor/", {"code": codes[0]}).status_code == 302
        new = StaffFactory(role="Store")
        staff_accounts.changed(new, by=admin, source="", fields=["added"], active=True, roles=[])
    said = after_restore()
    assert not User.objects.get(pk=closed.pk).is_active
    # A role that was taken away is; one that was given is for an administrator to give again.
    assert not Group.objects.filter(user=moved).exists()
    assert not User.objects.get(pk=renewed.pk).check_password(PASSWORD)
    assert not SecondFactor.objects.filter(pk=app_lost.pk).exists()
    assert not RecoveryCode.objects.filter(second_factor=code_used.pk).exists()
    sign_in_staff(Browser(), code_used)
    assert f"or see to them by hand:\n    staff:{new}" in said


@pytest.mark.parametrize("stopped", [False, True])
def test_a_web_id_registered_anew_since_opens_by_no_older_password(stopped: bool) -> None:
    member = MemberFactory(web_id="hanako1983")
    if stopped:
        disown(member, Way.WEB_ID)
        lift = {"suspended_at": None}
        User.objects.filter(member=member).update(**lift)
    with since_the_backup():
        audit.record(Event.Act.WEB_ID_REGISTERED, by=audit.MEMBER, whom=member.number)
    assert f"register it anew:\n    {member.number}\n" in after_restore()
    client = browser()
    with_web_id(client, member)
    assert not is_signed_in(client)


def test_what_cannot_be_put_back_is_listed() -> None:
    member, leaving, renewed = MemberFactory(), MemberFactory(), MemberFactory()
    with since_the_backup():
        changed_by_the_feed(renewed)
        audit.record(Event.Act.WEB_ID_REGISTERED, by=audit.MEMBER, whom=member.number)
        closure.ask(member=leaving, certificate=False, source="")
        audit.record(Event.Act.KEYS_ROTATED, by=audit.SYSTEM)
    said = after_restore()
    assert f"register it anew:\n    {member.number}\n" in said
    assert f"changed by the feed: import it:\n    {renewed.number}\n" in said
    assert f"take it down again:\n    {leaving.number}\n" in said
    assert "PIN keys were rotated: keep the old ones" in said


# --- The record goes on ---------------------------------------------------------------------


def test_the_chain_goes_on_unbroken(copy: Path) -> None:
    member = MemberFactory()
    fail(member, 1)
    seal()
    # On record, but not sealed yet when the backup is made.
    fail(member, 1)
    with transaction.atomic():
        fail(member, 2)
        seal()
        before = [*Event.objects.order_by("pk").values()], [*Seal.objects.values_list("digest")]
        transaction.set_rollback(True)
    assert "2 events, 3 seals" in after_restore()
    restored = Event.objects.exclude(act=Event.Act.BACKUP_RESTORED)
    assert before == ([*restored.order_by("pk").values()], [*Seal.objects.values_list("digest")])
    assert user_of(member).failures == 4
    noted = Event.objects.get(act=Event.Act.BACKUP_RESTORED)
    assert noted.pk == max(event["id"] for event in before[0]) + 1
    assert (noted.by, noted.details["events"]) == (audit.SYSTEM, 2)
    assert noted.details["applied"] == {"failures": 2}
    assert record_is_whole(copy)


def test_a_second_run_does_no_harm(copy: Path) -> None:
    member = MemberFactory()
    with since_the_backup():
        fail(member, 5)
    after_restore()
    user = user_of(member)
    assert "0 events, 0 seals" in after_restore()
    again = user_of(member)
    assert (again.suspended_until, again.suspensions) == (user.suspended_until, user.suspensions)
    assert record_is_whole(copy)
    assert "0 events, 0 seals" in after_restore()


def test_nothing_is_sealed_before_it_ran() -> None:
    with since_the_backup():
        fail(MemberFactory(), 2)
    fail(MemberFactory(), 1)
    with pytest.raises(sealing.OutOfStep, match="after_restore"):
        next(sealing.passes())


def nothing_was_done(said: str) -> bool:
    untouched = Session.objects.exists() and not Event.objects.filter(act="backup_restored")
    return "FAILED: Nothing was done." in said and bool(untouched)


def test_what_is_not_this_records_copy_is_refused(
    client: Browser, copy: Path, tmp_path: Path
) -> None:
    with_card(client, MemberFactory())
    with since_the_backup():
        fail(MemberFactory(), 2)
    heading, *lines = copy.read_text().splitlines(keepends=True)
    assert "copy_of" in heading
    assert len(lines) == 3
    other = tmp_path / "other.jsonl"
    assert nothing_was_done(after_restore("--copy", str(other)))
    other.write_text("")
    assert nothing_was_done(after_restore("--copy", str(other)))
    first = {**json.loads(lines[0]), "digest": "0" * 64}
    other.write_text(json.dumps(first) + "\n" + "".join(lines[1:]))
    said = after_restore("--copy", str(other))
    assert nothing_was_done(said)
    assert "of another record than the database, at position 1" in said
    for broken in ([lines[0], lines[2]], [*lines[:2], lines[2].replace("visitor", "nobody")]):
        other.write_text("".join(broken))
        said = after_restore("--copy", str(other))
        assert nothing_was_done(said)
        assert "does not hold together" in said


def test_a_portal_that_was_opened_too_early_is_told(client: Browser, copy: Path) -> None:
    member = MemberFactory()
    with_card(client, member)
    with since_the_backup():
        fail(member, 1)
        [taken] = Event.objects.order_by("-pk")[:1]
    # The number that a sequence which went back, too, would give.
    Event.objects.create(pk=taken.pk, act=Event.Act.SIGNED_OUT, by=audit.MEMBER)
    said = after_restore()
    assert nothing_was_done(said)
    assert f"different events {taken.pk}: the portal was opened, or a feed imported, before" in said


def test_without_a_copy_nothing_is_done_unless_it_is_meant(
    client: Browser, settings: Any, copy: Path
) -> None:
    settings.RECORD_COPY = ""
    member = MemberFactory()
    with_card(client, member)
    assert nothing_was_done(after_restore())
    assert is_signed_in(client)
    assert "not allowed with" in after_restore("--copy", str(copy), "--without-copy")
    said = after_restore("--without-copy")
    assert "THE OLD PIN SIGNS IN" in said
    assert "FAILED" not in said
    assert not is_signed_in(client), "what was open ends all the same"
    assert user_of(member).device_epoch > 100


def test_a_copy_that_is_found_later_is_not_shut_out(settings: Any, copy: Path) -> None:
    with since_the_backup():
        fail(MemberFactory(), 1)
    settings.RECORD_COPY = ""
    assert "FAILED: Nothing was done." in after_restore()
    assert "1 events, 1 seals" in after_restore("--copy", str(copy))


# --- The feed -------------------------------------------------------------------------------


def test_who_came_in_since_is_brought_in_before_what_protects_is_applied(
    copy: Path, tmp_path: Path
) -> None:
    first = feeds.write(tmp_path / "first.csv", feeds.line(1), feeds.line(2))
    latest = feeds.write(
        tmp_path / "latest.csv", feeds.line(1, email="new@example.jp"), feeds.line(2), feeds.line(3)
    )
    assert feeds.run(first).exit_code == 0
    known = [user.pk for user in User.objects.all()]
    with since_the_backup():
        # On record, too, and so under numbers that the copy has.
        assert feeds.run(latest).exit_code == 0
        fail(Member.objects.get(number="200000003"), 5)
    said = after_restore("--feed", str(latest))
    assert "1 members created, 1 updated" in said
    assert "1 suspensions in force again" in said
    assert "For people" not in said
    came_in = User.objects.exclude(pk__in=known).get()
    assert suspension.is_in_force(came_in)
    assert came_in.device_epoch > 100, "another one's may have had this key"
    assert Member.objects.get(number="200000001").email == "new@example.jp"
    changes = Event.objects.filter(act=Event.Act.ADDRESS_CHANGED, whom="200000001")
    assert changes.count() == 2, "that of the lost database, and that of today"
    assert record_is_whole(copy)


def test_a_feed_that_is_refused_undoes_everything(client: Browser, tmp_path: Path) -> None:
    with_card(client, MemberFactory())
    with since_the_backup():
        fail(MemberFactory(), 1)
    before = Event.objects.count()
    said = after_restore("--feed", str(tmp_path / "there is none.csv"))
    assert nothing_was_done(said)
    assert "The feed: " in said
    assert Event.objects.count() == before


def test_rejected_lines_are_told(tmp_path: Path) -> None:
    seal_one = MemberFactory()
    fail(seal_one, 1)
    seal()
    feed = feeds.write(tmp_path / "feed.csv", feeds.line(1), feeds.line(2, birth_date="never"))
    said = after_restore("--feed", str(feed))
    assert "1 members created" in said
    assert f"{feed}.rejects.csv" in said
