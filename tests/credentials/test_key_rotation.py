"""Rotation of keys: every row under the first key, no PIN asked for, nothing overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from credentials import key_rotation, second_factor
from credentials.key_rotation import Counts, rotate, rows_under
from credentials.models import ApiClient, CardVerification, Event, SecondFactor
from members import pins
from members.models import Card
from tests.factories import APP_SECRET, PIN, MemberFactory, StaffFactory

pytestmark = pytest.mark.django_db

OLD, NEW, NEWER = {"v1": b"1" * 32}, {"v2": b"2" * 32}, {"V1": b"3" * 32}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "BATCH_ROWS", 3)


@pytest.fixture
def cards(settings: Any) -> list[Card]:
    """Eight cards under the old key, one without a PIN; a new key that writes from now on."""
    settings.PIN_KEYS = OLD
    cards = [MemberFactory(pin=f"258{i}").card for i in range(8)]
    MemberFactory(pin="")
    StaffFactory()
    StaffFactory()
    settings.PIN_KEYS = NEW | OLD
    return cards


def run(**options: Any) -> str:
    out = StringIO()
    call_command("rotate_pin_keys", stdout=out, stderr=out, **options)
    return out.getvalue()


def versions() -> set[str]:
    sealed = [
        *Card.objects.exclude(sealed_pin="").values_list("sealed_pin", flat=True),
        *SecondFactor.objects.values_list("sealed_secret", flat=True),
    ]
    return {text.partition(":")[0] for text in sealed}


def all_match(cards: list[Card]) -> bool:
    for i, card in enumerate(cards):
        card.refresh_from_db()
        if not pins.matches(card.sealed_pin, f"258{i}", card_number=card.number):
            return False
    return True


def events() -> list[dict[str, Any]]:
    rows = Event.objects.filter(act=Event.Act.KEYS_ROTATED).order_by("pk")
    return list(rows.values_list("details", flat=True))


# --- A run ------------------------------------------------------------------------------------


def test_every_row_opens_with_the_new_key_alone(cards: list[Card], settings: Any) -> None:
    assert rotate() == Counts(waiting=10, resealed=10)
    settings.PIN_KEYS = NEW
    assert versions() == {"v2"}
    assert all_match(cards)
    for factor in SecondFactor.objects.all():
        assert second_factor._unsealed(factor.sealed_secret, factor.pk) == APP_SECRET
    assert Card.objects.filter(sealed_pin="").count() == 1


def test_second_run_changes_nothing(cards: list[Card]) -> None:
    rotate()
    before = list(Card.objects.order_by("pk").values())
    assert rotate() == Counts()
    assert list(Card.objects.order_by("pk").values()) == before


def test_versions_that_differ_in_case_alone_are_two(cards: list[Card], settings: Any) -> None:
    settings.PIN_KEYS = NEWER | OLD
    assert rotate().resealed == 10
    assert versions() == {"V1"}
    assert (rows_under("v1"), rows_under("V1")) == (0, 10)


@pytest.mark.parametrize("version", ["v%", "v_", "v", "v11"])
def test_version_is_compared_as_it_is_written(
    cards: list[Card], settings: Any, version: str
) -> None:
    settings.PIN_KEYS = {version: b"9" * 32} | OLD
    assert rotate().resealed == 10
    assert versions() == {version}


def test_beginning_and_end_are_on_record(cards: list[Card]) -> None:
    rotate()
    assert events() == [
        {"to": "v2", "step": "begun", "waiting": 10},
        {"to": "v2", "step": "ended", "resealed": 10, "overtaken": 0, "closed": 0},
    ]


# --- Cut short --------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_run_cut_short_is_finished_by_the_next(cards: list[Card], batches: int) -> None:
    done: Iterator[int] = iter(range(1, 100))

    def killed(counts: Counts) -> None:
        if next(done) == batches:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(progress=killed)
    assert versions() == {"v1", "v2"}
    assert all_match(cards)
    counts = rotate()
    # Eight cards in batches of three: the third is the cards' last.
    assert counts.resealed == counts.waiting == 10 - {1: 3, 2: 6, 3: 8}[batches]
    assert versions() == {"v2"}
    assert all_match(cards)
    assert [one["step"] for one in events()] == ["begun", "begun", "ended"]


def test_progress_comes_after_every_batch(cards: list[Card]) -> None:
    told: list[int] = []
    rotate(progress=lambda counts: told.append(counts.rows))
    assert told == [3, 6, 8, 10]


# --- Somebody else at the same time -----------------------------------------------------------


def test_pin_set_meanwhile_is_never_overwritten(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    reseal = pins.reseal
    card = cards[4]

    def slow(sealed: str, *, card_number: str) -> str | None:
        if card_number == card.number:
            new = pins.seal("7410", card_number=card_number)
            Card.objects.filter(pk=card.pk).update(sealed_pin=new)
        return reseal(sealed, card_number=card_number)

    monkeypatch.setattr(pins, "reseal", slow)
    assert rotate() == Counts(waiting=10, resealed=9, overtaken=1)
    card.refresh_from_db()
    assert pins.matches(card.sealed_pin, "7410", card_number=card.number)
    assert not pins.matches(card.sealed_pin, "2584", card_number=card.number)


def test_pin_taken_away_meanwhile_stays_away(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    reseal = pins.reseal

    def slow(sealed: str, *, card_number: str) -> str | None:
        Card.objects.filter(number=cards[0].number).update(sealed_pin="")
        return reseal(sealed, card_number=card_number)

    monkeypatch.setattr(pins, "reseal", slow)
    assert rotate().overtaken == 1
    cards[0].refresh_from_db()
    assert cards[0].sealed_pin == ""


# --- What does not open -----------------------------------------------------------------------


def test_rows_that_do_not_open_are_named_and_kept(cards: list[Card], settings: Any) -> None:
    lost, copied = cards[1], cards[5]
    settings.PIN_KEYS = {"v0": b"0" * 32}
    Card.objects.filter(pk=lost.pk).update(sealed_pin=pins.seal(PIN, card_number=lost.number))
    settings.PIN_KEYS = NEW | OLD
    Card.objects.filter(pk=copied.pk).update(sealed_pin=cards[0].sealed_pin)
    before = dict(Card.objects.values_list("pk", "sealed_pin"))
    out = StringIO()
    with pytest.raises(CommandError, match="2"):
        call_command("rotate_pin_keys", stdout=out, stderr=out)
    said = out.getvalue()
    for card in (lost, copied):
        assert f"card {card.pk} (…{card.last_four})" in said
        assert card.number not in said
        card.refresh_from_db()
        assert card.sealed_pin == before[card.pk]
        assert card.sealed_pin[10:30] not in said
    assert events()[-1]["closed"] == 2
    assert rows_under("v2") == 8


# --- The command ------------------------------------------------------------------------------


def test_command_says_which_key_may_go(cards: list[Card], settings: Any) -> None:
    settings.PIN_KEYS = NEW | OLD | NEWER
    settings.LANGUAGE_CODE = "en"
    said = run()
    assert "sealed anew: 10" in said
    assert "100%: 10 rows" in said
    assert "v1: no row is under it; it may be removed" in said
    assert "V1: no row is under it; it may be removed" in said
    assert "v2: " not in said


def test_key_stays_while_the_card_host_may_repeat_a_question(
    cards: list[Card], settings: Any
) -> None:
    settings.LANGUAGE_CODE = "en"
    client = ApiClient.objects.create(name="card host")
    CardVerification.objects.create(client=client, trace="1", terminal="1", request_digest="x")
    assert "v1: no row is under it; it may be removed from PIN_KEYS in 30 days" in run()


def test_command_says_which_key_must_stay(
    cards: list[Card], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LANGUAGE_CODE = "en"
    # A process that was not restarted seals under the old key meanwhile.
    monkeypatch.setattr(pins, "reseal", lambda sealed, **_card: None)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("rotate_pin_keys", stdout=out, stderr=out)
    assert "v1: still 8 rows under it; it must stay" in out.getvalue()


def test_database_that_fails_says_what_to_do(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_options: Any) -> None:
        raise OperationalError("quotes a row: v1:abc")

    monkeypatch.setattr("credentials.management.commands.rotate_pin_keys.rotate", gone)
    with pytest.raises(CommandError, match="OperationalError") as failed:
        run()
    assert "v1:abc" not in str(failed.value)


def test_no_secret_is_said_or_recorded(cards: list[Card]) -> None:
    said = run() + str(events())
    for card in cards:
        assert card.number not in said
    assert "argon2" not in said
    for sealed in Card.objects.exclude(sealed_pin="").values_list("sealed_pin", flat=True):
        assert sealed[3:23] not in said
