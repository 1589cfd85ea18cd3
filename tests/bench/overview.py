"""How long PostgreSQL takes for the overview, and for the record's pages, on a year of events.

    python -m tests.bench.overview [--rows 2000000] [--rounds 20]

In a cluster of its own, thrown away after the run. Times are those of whole functions: statements
and what Python makes of their rows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from datetime import timedelta

from tests.bench.cluster import throw_away_cluster

FILL = """
    SELECT setseed(0.42);
    INSERT INTO credentials_event (at, act, by, whom, source, details)
    SELECT now() - (random() * 365 * 86400) * interval '1 second',
           (ARRAY['signed_in','signed_in','signed_in','signed_out','sign_in_failed','member_seen',
                  'members_searched','identity_verified','suspended','web_id_registered',
                  'pin_reset_started','card_verified'])[1 + floor(random() * 12)::int],
           CASE WHEN random() < 0.3 THEN 'staff:operator' || floor(random() * 200)
                ELSE 'member' END,
           (100000000 + floor(random() * 900000000))::bigint::text,
           '203.0.' || floor(random() * 250) || '.' || floor(random() * 250), '{{}}'
    FROM generate_series(1, {rows});
"""


def steps():
    """Return what is timed: name and function."""
    from django.utils import timezone

    from credentials import overview
    from credentials.models import Event
    from credentials.record.export import Asked, _people_rows

    now = timezone.now()
    week = Asked(staff="operator7", since=now - timedelta(days=7), until=now)

    def page(asked, at=0):
        events = Event.objects.filter(asked.condition()).order_by("-at", "-pk")
        list(events[at : at + 51])

    return [
        ("overview, 48 hours (7 pictures)", overview.by_hour),
        ("overview, 60 days (7 pictures)", overview.by_day),
        ("overview, outbox", overview.outbox_age),
        ("record, newest page", lambda: page(Asked())),
        ("record, page 100", lambda: page(Asked(), 5000)),
        ("record, of a staff member", lambda: page(Asked(staff="operator7"))),
        ("record, act and time", lambda: page(Asked(act="suspended", until=week.since))),
        ("export, people of a week", lambda: list(_people_rows(week))),
        ("admin's COUNT(*) of the record", Event.objects.count),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with throw_away_cluster() as url:
        os.environ["TEST_DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        start = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(FILL.format(rows=arguments.rows))
            cursor.execute("VACUUM ANALYZE")
        print(f"{arguments.rows} events in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        print(f"{'what':<36}{'p50 ms':>9}{'p95 ms':>9}")
        for name, run in steps():
            spent = []
            for _round in range(arguments.rounds):
                start = time.perf_counter()
                run()
                spent.append((time.perf_counter() - start) * 1000)
            spent.sort()
            p50, p95 = statistics.median(spent), spent[int(len(spent) * 0.95)]
            print(f"{name:<36}{p50:>9.1f}{p95:>9.1f}")
        connection.close()
        connection.close_pool()


if __name__ == "__main__":
    main()
