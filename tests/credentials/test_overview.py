"""The overview: right numbers, few statements, readable by everyone, for supervisors only."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials import audit, charts, mail, overview
from credentials.models import Event, OutboxMail
from tests.conftest import Browser

pytestmark = pytest.mark.django_db
PAGE = "/admin/overview/"


def happened(act: Event.Act, *, ago: timedelta = timedelta(), **event: Any) -> None:
    """Put an event on record that is so old."""
    Event(act=act, at=timezone.now() - ago, by=audit.VISITOR, **event).save()


def figure(figures: list[overview.Figure], name: str) -> overview.Figure:
    return next(figure for figure in figures if figure.name == name)


def test_events_are_counted_in_the_hour_and_the_day_they_happened() -> None:
    for ago in (0, 0, 3, 47, 49):
        happened(Event.Act.SIGNED_IN, ago=timedelta(hours=ago))
    happened(Event.Act.SIGNED_IN, ago=timedelta(days=59))
    happened(Event.Act.SIGNED_IN, ago=timedelta(days=61))
    hours = figure(overview.by_hour(), "sign-ins")
    assert (len(hours.counts), hours.counts[-1], hours.counts[-4], hours.counts[0]) == (48, 2, 1, 1)
    assert hours.total == 4
    days = figure(overview.by_day(), "sign-ins")
    assert (len(days.counts), days.total, days.counts[0]) == (60, 6, 1)


def test_days_begin_at_the_installations_midnight() -> None:
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    before = timezone.now() - today
    happened(Event.Act.SUSPENDED, ago=before - timedelta(microseconds=1))
    happened(Event.Act.SUSPENDED, ago=before + timedelta(seconds=1))
    assert figure(overview.by_day(), "suspensions").counts[-2:] == [1, 1]


@pytest.mark.parametrize(
    ("name", "act"),
    [(subject.name, act) for subject in overview.SUBJECTS for act in subject.acts],
)
def test_every_picture_counts_its_acts_and_no_others(name: str, act: Event.Act) -> None:
    happened(act)
    for figures in (overview.by_hour(), overview.by_day()):
        busy = {figure.name for figure in figures if figure.total} - {overview.SOURCES}
        assert busy == {name}


def test_sources_are_counted_once() -> None:
    for source in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        happened(Event.Act.SIGN_IN_FAILED, source=source)
    happened(Event.Act.SIGNED_IN, source="192.0.2.3")
    assert figure(overview.by_hour(), overview.SOURCES).counts[-1] == 2
    assert figure(overview.by_day(), overview.SOURCES).counts[-1] == 2


def test_the_outboxs_age_is_that_of_the_oldest_mail_waiting() -> None:
    assert overview.outbox_age() == overview.OutboxAge(0, timedelta())
    for _ in range(2):
        mail.queue("suspended")
    OutboxMail.objects.update(queued_at=timezone.now() - timedelta(minutes=7))
    mail.queue("suspended")
    age = overview.outbox_age()
    assert age.waiting == 3
    assert timedelta(minutes=6) < age.oldest < timedelta(minutes=8)


def test_all_pictures_cost_seven_statements() -> None:
    """Two of them ask the database for the time."""
    with CaptureQueriesContext(connection) as queries:
        overview.by_hour()
        overview.by_day()
        overview.outbox_age()
    assert len(queries) == 7


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_pictures_end_with_the_databases_hour_and_not_the_web_servers(hours: int) -> None:
    audit.record(Event.Act.SIGNED_IN, by=audit.MEMBER)
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        [sign_ins] = [one for one in overview.by_hour() if one.name == "sign-ins"]
    assert sign_ins.counts[-1] == 1


@pytest.mark.parametrize(
    ("count", "top"), [(0, 2), (1, 2), (3, 4), (5, 10), (10, 10), (11, 20), (401, 1000)]
)
def test_axes_end_in_round_numbers(count: int, top: int) -> None:
    moment = timezone.localtime()
    chart = charts.draw(overview.Figure("x", "X", True, [moment], [count]))
    assert [mark.text for mark in chart.counts] == [
        "0", f"{top // 2}", f"{top:,}"
    ]  # fmt: skip
    assert chart.bars[0].height <= charts.HEIGHT


def test_bars_stay_inside_the_drawing() -> None:
    moments = [datetime(2026, 1, 1, tzinfo=timezone.get_current_timezone())] * 60
    chart = charts.draw(overview.Figure("x", "X", False, moments, list(range(60))))
    for bar in chart.bars:
        assert charts.LEFT <= bar.x <= bar.x + bar.width <= charts.WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= chart.base + 0.01


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_page_reads_well_without_eyes_and_without_styles(
    staff_browser: Callable[..., Browser], language: str
) -> None:
    for _ in range(1234):
        happened(Event.Act.SIGNED_IN)
    auditor = staff_browser("Auditor")
    text = auditor.get(PAGE, headers={"accept-language": language}).content.decode()
    pictures = re.findall(r'<svg role="img".*?</svg>', text, re.DOTALL)
    assert len(pictures) == 2 * (len(overview.SUBJECTS) + 1)
    for picture in pictures:
        svg = ElementTree.fromstring(picture)  # noqa: S314 our own page
        ids = {element.get("id") for element in svg.iter()}
        assert svg.get("role") == "img"
        assert set((svg.get("aria-labelledby") or "").split()) <= ids
        assert {child.tag for child in svg} >= {"title", "desc"}
    assert text.count("<details>") == text.count("</table>\n  </details>") == len(pictures)
    # And the auditor's own sign-in.
    assert "1,235" in text
    assert " style=" not in text
    assert "<script>" not in text


def test_only_who_may_sees_it(staff_browser: Callable[..., Browser]) -> None:
    clerk, administrator = staff_browser("Call centre"), staff_browser("Administrator")
    assert clerk.get(PAGE).status_code == 403
    assert PAGE not in clerk.get("/admin/").content.decode()
    assert administrator.get(PAGE).status_code == 200
    assert PAGE in administrator.get("/admin/").content.decode()
    assert Browser().get(PAGE).status_code == 302
