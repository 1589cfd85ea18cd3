"""The record in the admin: read by the auditor, exported for a breach report, never changed."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import GeneratorType
from typing import Any

import pytest
from django.utils import timezone

from credentials import audit
from credentials.models import Event
from credentials.record import export, sealing
from tests.conftest import Browser
from tests.factories import MemberFactory

pytestmark = pytest.mark.django_db
LIST = "/admin/credentials/event/"
EXPORT = f"{LIST}export/"
SECOND = timedelta(seconds=1)


def happened(
    act: Event.Act,
    by: str = "staff:mori",
    whom: str = "",
    ago: timedelta = SECOND,
    **details: Any,
) -> Event:
    """Put an event on record that is so old."""
    at = timezone.now() - ago
    event = Event(act=act, at=at, by=by, whom=whom, source="192.0.2.1", details=details)
    event.save()
    return event


@pytest.fixture
def auditor(staff_browser: Callable[..., Browser]) -> Browser:
    browser = staff_browser("Auditor")
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    return browser


def local(ago: timedelta) -> str:
    """A moment so long ago, as the browser's field for it sends one."""
    return f"{timezone.localtime() - ago:%Y-%m-%dT%H:%M}"


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode("utf-8")
    assert text.startswith(export.BOM)
    return list(csv.DictReader(StringIO(text.removeprefix(export.BOM))))


def listed(auditor: Browser, **asked: Any) -> list[int]:
    answer = auditor.get(LIST, asked)
    assert answer.status_code == 200
    own = audit.staff(auditor.staff)
    # Signing in is on record, too.
    return [e.pk for e in answer.context["cl"].result_list if e.by != own and e.whom != own]


def test_it_is_browsed_by_member_staff_act_and_time(auditor: Browser) -> None:
    seen = happened(Event.Act.MEMBER_SEEN, whom="123456789", ago=timedelta(hours=3))
    told = happened(Event.Act.NUMBER_TOLD, by="staff:abe", whom="123456789")
    other = happened(Event.Act.MEMBER_SEEN, whom="987654321", ago=timedelta(days=3))
    assert listed(auditor) == [told.pk, seen.pk, other.pk]
    assert listed(auditor, member="１２３ 456-789") == [told.pk, seen.pk]
    assert listed(auditor, staff="mori") == listed(auditor, staff="staff:mori")
    assert listed(auditor, staff="mori") == [seen.pk, other.pk]
    assert listed(auditor, act="number_told") == [told.pk]
    assert listed(auditor, since=local(timedelta(days=1))) == [told.pk, seen.pk]
    assert listed(auditor, until=local(timedelta(days=1))) == [other.pk]
    asked = {"member": "123456789", "staff": "mori", "since": local(timedelta(hours=4))}
    assert listed(auditor, **asked) == [seen.pk]


def test_a_filter_that_makes_no_sense_lists_nothing_and_says_why(auditor: Browser) -> None:
    happened(Event.Act.MEMBER_SEEN, whom="123456789")
    answer = auditor.get(LIST, {"member": "12345"})
    assert answer.context["cl"].result_list == []
    assert "nine digits" in answer.content.decode()
    backwards = {"since": "2026-02-01T00:00", "until": "2026-01-01T00:00"}
    assert "not after the beginning" in auditor.get(LIST, backwards).content.decode()
    assert auditor.get(LIST, {"by__contains": "x", "details__icontains": "y"}).status_code == 200


def test_long_lists_have_a_next_page_that_keeps_the_filter(auditor: Browser) -> None:
    for _ in range(51):
        happened(Event.Act.MEMBER_SEEN, whom="123456789")
    answer = auditor.get(LIST, {"member": "123456789"})
    assert answer.context["cl"].next_page == "?member=123456789&p=2"
    assert len(listed(auditor, member="123456789", p=2)) == 1


def test_everyone_whose_data_an_operator_saw_between_two_times(auditor: Browser) -> None:
    hour = timedelta(hours=1)
    happened(Event.Act.MEMBER_SEEN, whom="111111111", ago=2 * hour)
    happened(Event.Act.NUMBER_TOLD, whom="111111111", ago=hour)
    searched = {"kinds": ["kana"], "shown": ["222222222", "333333333"]}
    happened(Event.Act.MEMBERS_SEARCHED, ago=hour, **searched)
    # Neither what found nobody, nor what was refused, nor others, nor other times.
    happened(Event.Act.MEMBERS_SEARCHED, whom="444444444", ago=hour, kinds=[], shown=[])
    happened(Event.Act.ACCESS_REFUSED, whom="555555555", ago=hour)
    happened(Event.Act.MEMBER_SEEN, by="staff:abe", whom="666666666", ago=hour)
    happened(Event.Act.MEMBER_SEEN, whom="777777777", ago=9 * hour)
    between = {"since": local(3 * hour), "until": local(timedelta())}
    answer = auditor.post(EXPORT, {"people": "", "staff": "mori", **between})
    rows = rows_of(answer)
    assert [(row["member_number"], row["times"], row["acts"]) for row in rows] == [
        ("111111111", "2", "member_seen number_told"),
        ("222222222", "1", "members_searched"),
        ("333333333", "1", "members_searched"),
    ]
    event = Event.objects.get(act=Event.Act.RECORD_EXPORTED)
    assert event.by == audit.staff(auditor.staff)
    assert (event.details["what"], event.details["staff"]) == ("people", "mori")
    assert set(event.details) == {"what", "staff", "since", "until"}


def test_people_are_not_exported_without_a_name_and_both_times(auditor: Browser) -> None:
    answer = auditor.post(EXPORT, {"people": "", "staff": "mori"})
    assert answer.status_code == 200
    assert "Nothing was exported" in answer.content.decode()
    assert not Event.objects.filter(act=Event.Act.RECORD_EXPORTED).exists()


def test_events_are_exported_as_they_are_filtered(auditor: Browser) -> None:
    happened(Event.Act.NUMBER_TOLD, whom="123456789", why="回線の確認")
    shown = ["123456789", "222222222"]
    happened(Event.Act.MEMBERS_SEARCHED, shown=shown)
    happened(Event.Act.MEMBERS_SEARCHED, shown=["222222222"])
    happened(Event.Act.MEMBER_SEEN, whom="222222222")
    answer = auditor.post(EXPORT, {"events": "", "member": "123456789"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    assert answer.streaming
    rows = rows_of(answer)
    # By member, the lists that showed the member among others are there as well.
    assert [row["act"] for row in rows][:2] == ["number_told", "members_searched"]
    assert "回線の確認" in rows[0]["details"]
    told = Event.objects.get(act=Event.Act.NUMBER_TOLD)
    assert rows[0]["at"] == timezone.localtime(told.at).strftime("%Y-%m-%d %H:%M:%S+09:00")
    event = Event.objects.get(act=Event.Act.RECORD_EXPORTED)
    assert (event.whom, event.details) == ("123456789", {"what": "events"})


def test_an_export_streams(auditor: Browser) -> None:
    lines = export.export_events(export.Asked(), by=auditor.staff)
    assert isinstance(lines, GeneratorType)
    assert next(lines) == export.BOM
    # On record before the first line has left.
    assert Event.objects.filter(act=Event.Act.RECORD_EXPORTED).count() == 1


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "＠a"])
def test_no_cell_is_computed_by_a_spreadsheet(auditor: Browser, cell: str) -> None:
    assert export.neutral(cell) == f"'{cell}"
    happened(Event.Act.SIGN_IN_FAILED, by=cell)
    rows = rows_of(auditor.post(EXPORT, {"events": "", "act": "sign_in_failed"}))
    assert [row["by"] for row in rows] == [f"'{cell}"]


def test_plain_cells_stay_as_they_are() -> None:
    assert [export.neutral(cell) for cell in ("a=b", 3, "")] == ["a=b", "3", ""]


@pytest.mark.parametrize("role", ["Call centre", "Store", "Administrator"])
def test_only_the_auditor_reads_and_exports(
    staff_browser: Callable[..., Browser], role: str
) -> None:
    browser = staff_browser(role)
    assert browser.get(LIST).status_code == 403
    assert browser.post(EXPORT, {"events": ""}).status_code == 403
    assert not Event.objects.filter(act=Event.Act.RECORD_EXPORTED).exists()


def test_an_export_is_never_made_by_a_link(auditor: Browser) -> None:
    assert auditor.get(EXPORT).status_code == 405
    careful = Browser()
    careful.cookies, careful.handler.enforce_csrf_checks = auditor.cookies, True
    assert careful.post(EXPORT, {"events": ""}).status_code == 403


@pytest.mark.parametrize("superuser", [False, True])
def test_nothing_in_it_can_be_changed_in_the_admin(
    staff_browser: Callable[..., Browser], superuser: bool
) -> None:
    auditor = staff_browser("Auditor", is_superuser=superuser)
    event = happened(Event.Act.MEMBER_SEEN, whom="123456789")
    before = Event.objects.values().get(pk=event.pk)
    changed = {"by": "nobody", "act": "signed_in", "whom": "", "_save": "Save"}
    for address in (f"{LIST}add/", f"{LIST}{event.pk}/change/", f"{LIST}{event.pk}/delete/"):
        assert auditor.post(address, {**changed, "post": "yes"}).status_code == 403
    wiped = {"action": "delete_selected", "_selected_action": [event.pk], "post": "yes"}
    auditor.post(LIST, wiped)
    assert Event.objects.values().get(pk=event.pk) == before
    assert auditor.get(f"{LIST}{event.pk}/change/").status_code == 200


def test_only_the_one_function_writes_it_and_none_changes_it() -> None:
    """No code of ours calls anything on events but `create`, in audit.py, and reads."""
    root = Path(__file__).resolve().parents[2]
    forbidden = {"update", "delete", "bulk_update", "update_or_create", "get_or_create"}
    for app in ("portal", "members", "credentials"):
        for path in (root / app).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    called = ast.unparse(node.func)
                    if called.startswith("Event.objects"):
                        assert node.func.attr not in forbidden, f"{path}: {called}"
                        if path.name != "audit.py":
                            assert "create" not in node.func.attr, f"{path}: {called}"


def test_a_look_and_a_search_end_up_in_the_export(
    staff_browser: Callable[..., Browser], auditor: Browser
) -> None:
    member = MemberFactory()
    operator = staff_browser("Call centre")
    operator.get("/admin/members/member/", {"q": "ヤマダ"})
    operator.get(f"/admin/members/member/{member.pk}/change/")
    between = {"since": local(timedelta(minutes=5)), "until": local(timedelta(minutes=-5))}
    who = operator.staff.username
    [row] = rows_of(auditor.post(EXPORT, {"people": "", "staff": who, **between}))
    assert (row["member_number"], row["times"]) == (member.number, "2")


def test_it_shows_when_it_was_last_sealed(auditor: Browser) -> None:
    words = "Last sealed at"
    assert words not in auditor.get(LIST).content.decode()
    [*_] = sealing.seal_all()
    assert words in auditor.get(LIST).content.decode()
