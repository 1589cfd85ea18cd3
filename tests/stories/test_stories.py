"""Any order of events, any interleaving: what must hold holds after every step.

A quick run tries the same few thousand steps every time. For a long one, with new examples each
time, set STORIES: `STORIES=2000 python -m pytest tests/stories` tries so many stories of each
kind.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from credentials import api_keys, pin_reset, registration
from credentials.models import ApiClient, ApiKey
from tests.factories import StaffFactory
from tests.stories import model
from tests.stories.paused import pausing
from tests.stories.registering import Registering
from tests.stories.resetting_pins import ResettingPins
from tests.stories.signing_in import SigningIn
from tests.stories.world import World

pytestmark = pytest.mark.django_db
MANY = int(os.environ.get("STORIES", "0"))


class RegisteringAmidGuesses(SigningIn, Registering):
    """While somebody is suspended, signed out, closed."""


class EverythingAtOnce(Registering, ResettingPins):
    """All of it, on the same two members."""


@pytest.mark.parametrize(
    ("story", "examples"),
    [
        (SigningIn, 35),
        (Registering, 15),
        (RegisteringAmidGuesses, 22),
        (ResettingPins, 35),
        (EverythingAtOnce, 22),
    ],
)
def test_what_must_hold_holds_after_every_step(
    story: type[World],
    examples: int,
    settings_of_portal: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    World.store = StaffFactory(role="Store")
    World.phone = StaffFactory(role="Call centre")
    new = api_keys.make(
        client=ApiClient.objects.create(name="card host"),
        scope=ApiKey.Scope.CARD_VERIFICATIONS,
        days=None,
        reason="stories",
        by=StaffFactory(role="Administrator"),
    )
    assert isinstance(new, api_keys.NewKey)
    World.key = new.key
    how = settings(
        # The rules are the same on both; PostgreSQL is to show that its statements obey them.
        max_examples=MANY or (examples if connection.vendor == "sqlite" else examples // 3),
        derandomize=not MANY,
        stateful_step_count=40 if MANY else 25,
        # To find the shortest story takes minutes: only the long run does.
        phases=set(Phase) - (set() if MANY else {Phase.shrink}),
        suppress_health_check=list(HealthCheck),
    )
    with pausing(monkeypatch) as World.slots:
        run_state_machine_as_test(story, settings=how)


@pytest.fixture
def settings_of_portal(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a story reaches them in a few steps."""
    settings.LOGIN_FAILURE_LIMIT = model.LIMIT
    settings.SUSPENSIONS_UNTIL_IN_PERSON = model.IN_A_ROW
    settings.CODE_ATTEMPTS = model.CODE_TRIES
    settings.SOURCE_ACCOUNT_LIMIT = settings.SOURCE_FAILURE_LIMIT = "1000000/hour"
    monkeypatch.setattr(registration, "MAILS_AT_MOST", model.MAILS)
    monkeypatch.setattr(pin_reset, "TICKET_ATTEMPTS", model.TICKET_TRIES)
