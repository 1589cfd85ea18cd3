"""The chain of the record: whole under any order, and what somebody changed in it is named.

Whoever has rights on the database can take the triggers down; these tests do what they would do
then.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils.timezone import now

from credentials import audit
from credentials.models import Event, Seal
from credentials.record import chain, check, sealing
from credentials.record import copy as record_copy
from credentials.record.check import Broken

pytestmark = pytest.mark.django_db
APPEND_ONLY = importlib.import_module("credentials.migrations.0003_append_only")
NUMBER = 9


def verify(*arguments: str) -> str:
    """Return what the command says, also where it fails (and so exits 1)."""
    said = StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=said, stderr=said)
    except CommandError as error:
        return str(error)
    return said.getvalue()


@pytest.fixture
def copy(settings: Any, tmp_path: Path) -> Path:
    path = tmp_path / "record.jsonl"
    settings.RECORD_COPY = str(path)
    return path


@pytest.fixture
def record(copy: Path) -> list[Event]:
    """A sealed record of nine events, with its copy, which nothing protects any more."""
    for i in range(1, NUMBER + 1):
        whom = f"{100000000 + i}"
        audit.record(Event.Act.NUMBER_TOLD, by="staff:阿部", whom=whom, source="192.0.2.1", check=i)
    [*_] = sealing.seal_all()
    with connection.cursor() as cursor:
        for statement in APPEND_ONLY.dropping(connection.vendor):
            cursor.execute(statement)
    assert "whole: positions 1 to 9" in verify("--copy", str(copy))
    return list(Event.objects.order_by("pk"))


def change(event: Event, **changes: Any) -> None:
    assert Event.objects.filter(pk=event.pk).update(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"details": {"check": 50}},
        {"details": {"check": 5, "more": None}},
        {"at": Now() - timedelta(milliseconds=1)},
        {"source": ""},
        {"act": Event.Act.MEMBER_SEEN},
        {"by": "staff:安部"},
        {"whom": "100000001"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_changed_event_is_named(record: list[Event], copy: Path, changes: dict[str, Any]) -> None:
    change(record[4], **changes)
    assert f"BROKEN at position 5, event {record[4].pk}: the event was changed" in verify()
    [column] = changes
    said = verify("--copy", str(copy))
    assert f"position 5, event {record[4].pk}: the event was changed" in said
    assert f"another {column}." in said


def test_the_last_event_changed(record: list[Event]) -> None:
    change(record[-1], details={})
    assert f"BROKEN at position 9, event {record[-1].pk}" in verify()


def test_a_deleted_event_is_named(record: list[Event]) -> None:
    Event.objects.filter(pk=record[4].pk).delete()
    assert f"BROKEN at position 5, event {record[4].pk}: missing" in verify()


def test_an_event_deleted_with_its_seal_leaves_a_gap(record: list[Event], copy: Path) -> None:
    Event.objects.filter(pk=record[4].pk).delete()
    Seal.objects.filter(event_id=record[4].pk).delete()
    assert "BROKEN at position 5: no seal: the next one is at 6" in verify()
    assert f"position 5, event {record[4].pk}: no seal" in verify("--copy", str(copy))


def test_a_record_cut_off_at_its_end_shows_in_the_copy_alone(
    record: list[Event], copy: Path
) -> None:
    for event in record[-2:]:
        Event.objects.filter(pk=event.pk).delete()
        Seal.objects.filter(event_id=event.pk).delete()
    assert "whole: positions 1 to 7" in verify()
    said = verify("--copy", str(copy))
    assert f"BROKEN at position 8, event {record[7].pk}: cut off" in said
    assert "the database ends at 7, the copy goes on to 9" in said
    # Nothing new takes the place of what was cut off.
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    with pytest.raises(sealing.OutOfStep, match="goes on to position 9"):
        next(sealing.passes())
    assert "cut off" in verify("--copy", str(copy))


def test_two_swapped_events_are_named(record: list[Event]) -> None:
    one, other = record[2], record[3]
    for event, with_ in ((one, other), (other, one)):
        values = {name: getattr(with_, name) for name in ("at", "whom", "details")}
        change(event, **values)
    assert f"BROKEN at position 3, event {one.pk}" in verify()


def test_two_swapped_seals_are_named(record: list[Event], copy: Path) -> None:
    one, other = record[2], record[3]
    Seal.objects.filter(position=3).update(event_id=0)
    Seal.objects.filter(position=4).update(event_id=one.pk)
    Seal.objects.filter(position=3).update(event_id=other.pk)
    expected = f"BROKEN at position 3, event {other.pk}: order changed"
    assert f"{expected}: event {one.pk} was sealed here" in verify()
    assert f"{expected}: the copy has event {one.pk} here" in verify("--copy", str(copy))


def test_a_changed_seal_is_named(record: list[Event], copy: Path) -> None:
    Seal.objects.filter(position=5).update(digest="0" * 64)
    said = f"BROKEN at position 5, event {record[4].pk}: its seal was changed"
    assert said in verify()
    assert said in verify("--copy", str(copy))


def test_a_chain_made_anew_shows_in_the_copy_alone(
    record: list[Event], copy: Path, settings: Any
) -> None:
    change(record[4], whom="100000001")
    Seal.objects.filter(position__gte=5).delete()
    settings.RECORD_COPY = ""
    [*_] = sealing.seal_all()
    settings.RECORD_COPY = str(copy)
    assert "whole: positions 1 to 9" in verify()
    said = verify("--copy", str(copy))
    assert f"position 5, event {record[4].pk}: the event was changed" in said
    with pytest.raises(sealing.OutOfStep, match="differ at position 9"):
        next(sealing.passes())


def test_a_time_that_is_none_is_named_too(record: list[Event]) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credentials_event SET at = '2026-13-45 00:00' WHERE id = %s", [record[4].pk]
            )
        assert f"BROKEN at position 5, event {record[4].pk}: the event was changed" in verify()


def test_the_walk_may_begin_later(record: list[Event]) -> None:
    change(record[4], details={})
    assert "whole: positions 6 to 9" in verify("--from", "6")
    assert "BROKEN at position 5" in verify("--from", "5")
    assert "BROKEN at position 19: there is no such seal" in verify("--from", "20")


def test_an_event_put_in_later_is_sealed_last(record: list[Event]) -> None:
    Event.objects.create(act=Event.Act.NUMBER_TOLD, by="x", at=record[0].at)
    assert "whole: positions 1 to 10" in verify()


def test_what_waits_is_sealed_before_the_walk() -> None:
    assert "whole: positions 1 to 0" in verify()
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    assert "whole: positions 1 to 1" in verify()


def test_the_digest_is_the_same_on_both_databases() -> None:
    """Of every column, in one form: this one, wherever it was stored."""
    event = Event.objects.create(
        at=datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC),
        act=Event.Act.NUMBER_TOLD,
        by="staff:阿部",
        whom="123456789",
        source="2001:db8::1",
        details={"reason": "回線\n", "check": 7, "b": [True, None], "a": {"z": 1, "y": 2}},
    )
    event.refresh_from_db()
    plain = {**chain.plain(event), "id": 1}
    assert plain["at"] == "2026-02-03T04:05:06.789000+00:00"
    assert set(plain) == {field.attname for field in Event._meta.concrete_fields}
    assert chain.digest(chain.BEGINNING, 1, plain) == (
        "a6e0c5c7c867a11023c841859d0841433877668ca98f28288ec8d5f1a0d43b63"
    )


def test_the_walk_goes_page_by_page(
    record: list[Event], monkeypatch: pytest.MonkeyPatch, copy: Path
) -> None:
    monkeypatch.setattr(check, "PAGE", 2)
    assert [step.position for step in check.check(copy=copy)] == [2, 4, 6, 8, 9]
    change(record[1], details={})
    [broken] = check.check()
    assert isinstance(broken, Broken)
    assert broken.position == 2


# --- The copy -------------------------------------------------------------------------------


def positions(copy: Path) -> list[int]:
    return [json.loads(line)["position"] for line in copy.read_text().splitlines()[1:]]


def test_the_copy_has_every_sealed_event(record: list[Event], copy: Path) -> None:
    assert positions(copy) == [*range(1, NUMBER + 1)]
    heading, *lines = (json.loads(line) for line in copy.read_text().splitlines())
    assert heading == {"copy_of": "the record", "version": 1}
    assert [line["event"] for line in lines] == [chain.plain(event) for event in record]
    assert [line["digest"] for line in lines] == [
        seal.digest for seal in Seal.objects.order_by("position")
    ]
    assert copy.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("cut", [1, 2, 60])
def test_a_line_that_a_crash_cut_short_is_healed(record: list[Event], copy: Path, cut: int) -> None:
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-cut])
    next(sealing.passes())
    assert copy.read_bytes().startswith(whole[:-cut]), "the copy is only ever appended to"
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    assert "agrees up to position 10" in verify("--copy", str(copy))


def test_a_line_that_is_being_written_ends_the_copy(record: list[Event], copy: Path) -> None:
    whole = copy.read_bytes()
    reading = record_copy.lines(copy)
    copy.write_bytes(whole[:-60])
    assert [next(reading).position for _turn in range(NUMBER - 1)] == [*range(1, NUMBER)]
    assert next(reading, None) is None


def test_lines_that_are_there_twice_do_no_harm(record: list[Event], copy: Path) -> None:
    lines = copy.read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join([*lines[:6], *lines[3:]]))
    assert "agrees up to position 9" in verify("--copy", str(copy))


def test_a_line_that_is_not_there_is_named(record: list[Event], copy: Path) -> None:
    lines = copy.read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    said = verify("--copy", str(copy))
    assert f"BROKEN at position 5, event {record[4].pk}: the copy has no line for it" in said


def test_a_copy_that_was_away_gets_what_it_missed(record: list[Event], copy: Path) -> None:
    lines = copy.read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join(lines[:4]))
    next(sealing.passes())
    assert positions(copy) == [*range(1, NUMBER + 1)]


def test_nothing_is_sealed_while_the_copy_is_out_of_reach(settings: Any, tmp_path: Path) -> None:
    settings.RECORD_COPY = str(tmp_path / "gone" / "record.jsonl")
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    with pytest.raises(OSError, match="gone"):
        next(sealing.passes())
    assert not Seal.objects.exists()
    (tmp_path / "gone").mkdir()
    assert next(sealing.passes()) == 1


def new_copy() -> str:
    """Return what the command says, also where it fails (and so exits 1)."""
    said = StringIO()
    try:
        call_command("new_record_copy", stdout=said)
    except CommandError as error:
        return f"FAILED: {error}"
    return said.getvalue()


@pytest.mark.parametrize("loss", [Path.unlink, lambda copy: copy.write_bytes(b"")])
def test_a_copy_that_was_lost_is_begun_anew_only_by_who_says_so(
    record: list[Event], copy: Path, loss: Callable[[Path], object]
) -> None:
    loss(copy)
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    for _turn in range(2):
        with pytest.raises(sealing.OutOfStep, match="gone or empty"):
            next(sealing.passes())
    assert Seal.objects.count() == NUMBER
    assert not copy.exists() or not copy.stat().st_size
    assert "positions 1 to 9" in new_copy()
    assert next(sealing.passes()) == 1
    assert "agrees up to position 10" in verify("--copy", str(copy))


def test_a_copy_is_begun_over_no_other(record: list[Event], copy: Path, settings: Any) -> None:
    before = copy.read_bytes()
    assert "there is a copy already" in new_copy()
    assert copy.read_bytes() == before
    settings.RECORD_COPY = str(copy / "no folder")
    assert "FAILED: The copy cannot be written" in new_copy()
    settings.RECORD_COPY = ""
    assert "FAILED: RECORD_COPY is not set" in new_copy()


def test_a_crash_before_the_first_line_leaves_a_copy_that_goes_on(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    with monkeypatch.context() as patched:
        patched.setattr(record_copy, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(sealing.passes())
    assert Seal.objects.count() == 1
    next(sealing.passes())
    assert positions(copy) == [1]


def test_a_copy_that_cannot_be_read_fails_the_check() -> None:
    assert "cannot be read" in verify("--copy", "/nowhere/at/all")


# --- Sealing --------------------------------------------------------------------------------


def test_batches_and_late_comers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What committed late has a lower number and an earlier time; it is sealed where it comes."""
    monkeypatch.setattr(sealing, "BATCH", 2)
    for _turn in range(5):
        audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    passes = sealing.passes()
    assert [next(passes) for _turn in range(4)] == [2, 2, 1, 0]
    Event.objects.create(act="signed_in", by="x", at=Now() - sealing.LOOK_BACK / 2)
    assert next(passes) == 1
    # Older than any act takes: a pass that begins anew has it.
    Event.objects.create(act="signed_in", by="x", at=Now() - sealing.LOOK_BACK * 2)
    assert next(passes) == 0
    assert next(sealing.passes()) == 1
    assert "whole: positions 1 to 7" in verify()


def test_a_clock_that_goes_back_keeps_nothing_from_being_sealed(record: list[Event]) -> None:
    passes = sealing.passes()
    assert next(passes) == 0
    # As if the database's clock had been an hour ahead until now.
    Seal.objects.update(sealed_at=Now() + timedelta(hours=1))
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    assert next(passes) == 1
    assert f"whole: positions 1 to {NUMBER + 1}" in verify()


def test_what_came_long_ago_is_sealed_by_the_check() -> None:
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    next(sealing.passes())
    Event.objects.create(act="signed_in", by="x", at=Now() - 2 * sealing.LOOK_FAR_BACK)
    assert next(sealing.passes()) == 0
    assert "whole: positions 1 to 2" in verify()


def test_of_equal_moments_the_lower_number_comes_first() -> None:
    moment = now()
    numbers = [Event.objects.create(act="signed_in", by="x", at=moment).pk for _turn in range(3)]
    next(sealing.passes())
    sealed = Seal.objects.order_by("position").values_list("event_id", flat=True)
    assert list(sealed) == numbers


def test_a_frequent_pass_reads_by_the_index_on_time(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    audit.record(Event.Act.NUMBER_TOLD, by="staff:abe")
    passes = sealing.passes()
    next(passes)
    with django_assert_max_num_queries(2):
        next(passes)
