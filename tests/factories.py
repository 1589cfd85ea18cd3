"""Made-up members and staff for the tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import factory
from django.contrib.auth.models import Group

from credentials import second_factor, totp
from credentials.models import SecondFactor
from members import pins
from members.models import Card, Member, User, WebID

PIN = "2580"
PASSWORD = "correct horse battery staple"
# The secret in the authenticator app of every made-up member of staff.
APP_SECRET = b"twenty bytes for RFC"


def app_code(steps_from_now: int = 0, secret: bytes = APP_SECRET) -> str:
    """Return what the authenticator app shows now, or so many thirty-second steps later."""
    return totp.code_at(secret, totp.step_at(datetime.now(tz=UTC)) + steps_from_now)


def with_check_digit(first_fifteen: str) -> str:
    """Return the sixteen-digit card number that begins with `first_fifteen`."""
    total = 0
    for place, digit in enumerate(reversed(first_fifteen)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return f"{first_fifteen}{-total % 10}"


class MemberFactory(factory.django.DjangoModelFactory[Member]):
    """A member with user and card; `pin=""` for a card without one, `web_id=` for a Web-ID."""

    class Meta:
        model = Member
        skip_postgeneration_save = True

    number = factory.Sequence(lambda n: f"{100000000 + n * 7919}")
    name = "山田 花子"
    name_kana = "ヤマダ ハナコ"
    birth_date = date(1983, 12, 31)
    email = factory.Sequence(lambda n: f"member{n}@example.com")
    phone = "09012345678"

    @factory.post_generation
    def pin(self: Member, create: bool, extracted: str | None, **kwargs: Any) -> None:  # type: ignore[misc]
        pin = PIN if extracted is None else extracted
        number = with_check_digit(f"49900{self.pk:010}")
        Card.objects.create(
            member=self,
            number=number,
            sealed_pin=pins.seal(pin, card_number=number) if pin else "",
            pin_origin=Card.Origin.FEED if pin else "",
        )
        User.objects.create(member=self, password="!")

    @factory.post_generation
    def web_id(self: Member, create: bool, extracted: str | None, **kwargs: Any) -> None:  # type: ignore[misc]
        if extracted:
            WebID.objects.create(member=self, name=extracted)
            self.user.set_password(PASSWORD)
            self.user.save()


class StaffFactory(factory.django.DjangoModelFactory[User]):
    """A member of staff in one role: `StaffFactory(role="Store")`.

    With a second factor, whose codes `app_code` gives; `second_factor=False` for none yet.
    """

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"staff{n}")
    is_staff = True

    @factory.post_generation
    def role(self: User, create: bool, extracted: str | None, **kwargs: Any) -> None:  # type: ignore[misc]
        self.set_password(PASSWORD)
        self.save()
        if extracted:
            self.groups.add(Group.objects.get(name=extracted))

    @factory.post_generation
    def second_factor(self: User, create: bool, extracted: bool | None, **kwargs: Any) -> None:  # type: ignore[misc]
        if extracted is not False:
            sealed = second_factor.seal(APP_SECRET, self.pk)
            SecondFactor.objects.create(pk=self.pk, sealed_secret=sealed, last_step=0)
