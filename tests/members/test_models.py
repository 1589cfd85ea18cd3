"""What the database itself refuses, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now

from credentials.models import PinReset
from members.models import Card, Member, User, WebID
from tests.factories import MemberFactory, StaffFactory
from tests.pages import user_of

pytestmark = pytest.mark.django_db


def refused(write: Any) -> bool:
    try:
        with transaction.atomic():
            write()
    except IntegrityError:
        return True
    return False


@pytest.mark.parametrize(
    "change",
    [{"is_staff": True}, {"is_superuser": True}, {"username": "hanako"}, {"member": None}],
)
def test_member_is_never_staff(change: dict[str, Any]) -> None:
    user = user_of(MemberFactory())
    assert refused(lambda: User.objects.filter(pk=user.pk).update(**change))


def test_staff_are_never_a_member() -> None:
    staff, member = StaffFactory(), MemberFactory()
    User.objects.filter(member=member).delete()
    assert refused(lambda: User.objects.filter(pk=staff.pk).update(member=member))
    assert refused(lambda: User.objects.filter(pk=staff.pk).update(username=None))


def test_user_is_somebody() -> None:
    assert refused(lambda: User.objects.create(password="!"))


def test_no_more_attempts_are_cleared_than_were_made() -> None:
    user = user_of(MemberFactory())
    assert refused(lambda: User.objects.filter(pk=user.pk).update(attempts_cleared=1))


def test_end_of_a_suspension_needs_its_beginning() -> None:
    user = user_of(MemberFactory())
    assert refused(lambda: User.objects.filter(pk=user.pk).update(suspended_until=Now()))
    assert not refused(
        lambda: User.objects.filter(pk=user.pk).update(suspended_at=Now(), suspended_until=Now())
    )


@pytest.mark.parametrize("name", ["hanako1983", "HANAKO1983", "Hanako1983"])
def test_web_id_is_unique_whatever_the_case(name: str) -> None:
    MemberFactory(web_id="Hanako1983")
    member = MemberFactory()
    assert refused(lambda: WebID.objects.create(member=member, name=name))


def test_numbers_are_unique() -> None:
    one, other = MemberFactory(), MemberFactory()
    assert refused(lambda: Member.objects.filter(pk=other.pk).update(number=one.number))
    cards = Card.objects.filter(member=other)
    assert refused(lambda: cards.update(number=one.card.number))
    staff = StaffFactory()
    assert refused(lambda: User.objects.create(username=staff.username, is_staff=True))


def test_member_has_one_card_one_web_id_and_one_user() -> None:
    member = MemberFactory(web_id="Hanako1983")
    assert refused(lambda: Card.objects.create(member=member, number="4111111111111111"))
    assert refused(lambda: WebID.objects.create(member=member, name="another1983"))
    assert refused(lambda: User.objects.create(member=member, password="!"))


def test_card_has_one_open_pin_reset() -> None:
    card = MemberFactory().card
    fields = {"card": card, "ticket_digest": "x", "started_by": "staff:x", "place": "Ueno"}
    first = PinReset.objects.create(**fields)
    assert refused(lambda: PinReset.objects.create(**fields))
    PinReset.objects.filter(pk=first.pk).update(ended_at=Now())
    assert not refused(lambda: PinReset.objects.create(**fields))


def test_member_with_anything_on_record_cannot_be_deleted() -> None:
    member = MemberFactory(web_id="Hanako1983")
    with pytest.raises(ProtectedError):
        member.delete()


def test_rows_print_without_whole_card_numbers() -> None:
    member = MemberFactory(web_id="Hanako1983")
    assert str(member.card) == f"…{member.card.number[-4:]}"
    for row in (member, member.card, member.web_id, member.user):
        assert member.card.number not in f"{row} {row!r}"


def test_session_hash_changes_with_password_and_epoch() -> None:
    user = User(password="one", epoch=1)
    hashes = {
        user.get_session_auth_hash(),
        User(password="two", epoch=1).get_session_auth_hash(),
        User(password="one", epoch=2).get_session_auth_hash(),
        User(password="one:", epoch=1).get_session_auth_hash(),
    }
    assert len(hashes) == 4
    assert User(password="one", epoch=1).get_session_auth_hash() == user.get_session_auth_hash()


def test_closed_staff_account_has_no_password() -> None:
    staff = User.objects.create_staff("tanaka")
    assert not staff.has_usable_password()
    assert staff.is_staff


def test_superuser_is_staff() -> None:
    assert User.objects.create_superuser("root", "four words in a row").is_staff
