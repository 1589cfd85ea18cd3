"""How long PostgreSQL takes to find a member, beside Django's admin as it comes.

    python -m tests.bench.search [--rows 1000000] [--rounds 200]

In a cluster of its own, made for the run and thrown away (needs Debian's postgresql-15 and root or
the postgres user). Ours: the statements of a search and of its list page. Django's: `icontains`
over the same columns as ModelAdmin.search_fields does it, the first page of 100, and COUNT(*).
Each statement is timed at the client over a connection that is open already.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time

from tests.bench.cluster import throw_away_cluster

FAMILIES_KANA = (
    "サトウ スズキ タカハシ タナカ イトウ ワタナベ ヤマモト ナカムラ コバヤシ カトウ ヨシダ "
    "ヤマダ ササキ ヤマグチ マツモト イノウエ キムラ ハヤシ サイトウ シミズ オオノ コンドウ "
    "ホンマ ミウラ オカモト"
)
GIVEN_KANA = (
    "タロウ ジロウ ハナコ ヨウコ ケンジ ケンイチ ショウタ キョウコ ユミ ユウコ マコト ヒロシ "
    "アユミ ダイスケ タクヤ ツバサ ユイ アイ ヒロミ ジュンイチ サクラ ミサキ リク ハルト ソウタ "
    "ナオミ カズコ マサオ シゲル トオル"
)
FILL = """
    SELECT setseed(0.42);
    INSERT INTO members_member (id, number, name, name_kana, birth_date, email, phone)
    SELECT i, (100000007 + i::bigint * 8923 % 899999981)::text, '会員 ' || i,
           family[1 + floor(power(random(), 1.7) * array_length(family, 1))::int] || ' ' ||
           given[1 + floor(random() * array_length(given, 1))::int]
             || (ARRAY['','','エ','ヤ','ヒコ','カ','ノ','タ'])[1 + floor(random() * 8)::int],
           date '1940-04-02' + floor(random() * 24000)::int, 'member' || i || '@example.jp',
           '090' || lpad((i::bigint * 7919 % 100000000)::text, 8, '0')
    FROM generate_series(1, {rows}) i,
         (SELECT string_to_array('{families}', ' ') family,
                 string_to_array('{given}', ' ') given) n;
    INSERT INTO members_card (member_id, number, sealed_pin, pin_origin)
    SELECT i, number || (10 - digits % 10) % 10, '', ''
    FROM (SELECT i, number, (SELECT sum(CASE WHEN p % 2 = 1
              THEN d * 2 - CASE WHEN d > 4 THEN 9 ELSE 0 END ELSE d END)
            FROM (SELECT p, substr(number, 16 - p, 1)::int d
                  FROM generate_series(1, 15) p) s) digits
          FROM (SELECT i, '939200' || lpad((i::bigint * 7919 % 1000000000)::text, 9, '0') number
                FROM generate_series(1, {rows}) i) n) c;
    INSERT INTO members_webid (member_id, name)
    SELECT i, 'Web' || i || 'ID' FROM generate_series(1, {rows}, 2) i;
    INSERT INTO members_user (member_id, password, is_superuser, is_staff, is_active, language,
        epoch, device_epoch, attempts, attempts_cleared, suspensions, sign_in_way,
        previous_sign_in_way)
    SELECT i, '!', false, false, true, 'ja', 0, 0, 0, 0, 0, '', ''
    FROM generate_series(1, {rows}) i;
"""
LETTERS = ("sato shota", "ono junichi", "kondo yuko", "homma toru", "okamoto shotaro")
COLUMNS = (
    "number", "card__number", "name_kana", "birth_date", "phone", "web_id__name", "email"
)  # fmt: skip


def samples(dice, rounds):
    """Yield (kind, what is typed for ours, the same for Django's search) of real members."""
    from members.models import Card, Member, WebID

    top = Member.objects.order_by("-pk").values_list("pk", flat=True)[0]
    for _ in range(rounds):
        pk = dice.randrange(1, top, 2)
        member, card = Member.objects.get(pk=pk), Card.objects.get(member=pk)
        family, given = member.name_kana.split()
        born = member.birth_date.isoformat()
        yield "member number", member.number, member.number
        yield "card number", card.number, card.number
        yield "card's last four", card.number[-4:], card.number[-4:]
        yield "kana, family name", family, family
        yield "kana, one character", family[0], family[0]
        yield "kana, full name", f"{family}{given}", f"{family} {given}"
        yield "kana and birth date", f"{family} {given} {born}", f"{family} {given} {born}"
        yield "letters", LETTERS[dice.randrange(len(LETTERS))], family
        yield "birth date", born, born
        yield "phone", member.phone, member.phone
        yield "Web-ID", WebID.objects.get(member=pk).name.lower(), f"web{pk}id"
        yield "email", member.email.upper(), member.email
        yield "nobody", "ヴヴヴ", "ヴヴヴ"


def ours(typed):
    """Do what the list page does: the search, then one page of members."""
    from django.contrib import admin

    from credentials.admin.members import MemberAdmin
    from members.models import Member
    from members.search import candidates, read

    found = candidates(read(typed), at_most=201)
    assert found or typed in ("ヴヴヴ", *LETTERS), typed
    if found and len(found) <= 200:
        page = MemberAdmin(Member, admin.site).get_queryset(None).filter(pk__in=found)
        list(page.order_by("kana_key", "birth_date", "pk")[:51])


def djangos(typed):
    """Do what ModelAdmin does with these search_fields: COUNT(*), then a page of 100."""
    from django.db.models import Q

    from members.models import Member

    members = Member.objects.select_related("card", "user", "web_id")
    for word in typed.split():
        wanted = Q()
        for column in COLUMNS:
            wanted |= Q(**{f"{column}__icontains": word})
        members = members.filter(wanted)
    members.count()
    list(members.order_by("-pk")[:100])


def unsearched():
    """Do what ModelAdmin does for its list with nothing typed."""
    from members.models import Member

    members = Member.objects.select_related("card", "user", "web_id")
    members.count()
    list(members.order_by("-pk")[:100])


def timed(run, *arguments):
    """Return the milliseconds that the database took for what `run` asks of it."""
    from django.db import connection

    spent = 0.0

    def stop_watch(execute, sql, params, many, context):
        nonlocal spent
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent += time.perf_counter() - start

    with connection.execute_wrapper(stop_watch):
        run(*arguments)
    return spent * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rounds-of-djangos", type=int, default=3)
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
            cursor.execute(
                FILL.format(rows=arguments.rows, families=FAMILIES_KANA, given=GIVEN_KANA)
            )
            cursor.execute("VACUUM ANALYZE")
        print(f"{arguments.rows} members in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        report(arguments)
        connection.close()
        connection.close_pool()


def report(arguments):
    """Measure and print the table."""
    dice = random.Random(42)
    mine, theirs = {}, {}
    for at, (kind, typed, typed_there) in enumerate(samples(dice, arguments.rounds)):
        mine.setdefault(kind, []).append(timed(ours, typed))
        if at < arguments.rounds_of_djangos * 13:
            theirs.setdefault(kind, []).append(timed(djangos, typed_there))
    mine["the list, nothing typed"] = [0.0]
    theirs["the list, nothing typed"] = [timed(unsearched) for _ in range(5)]
    print(f"{'search by':<26}{'p50 ms':>9}{'p95 ms':>9}{'admin p50 ms':>14}{'ratio':>9}")
    for kind, spent in mine.items():
        spent = sorted(spent)
        p50, p95 = statistics.median(spent), spent[int(len(spent) * 0.95)]
        admin = statistics.median(theirs[kind])
        ratio = f"{admin / p50:>9.0f}" if p50 else f"{'–':>9}"
        print(f"{kind:<26}{p50:>9.2f}{p95:>9.2f}{admin:>14.1f}{ratio}")


if __name__ == "__main__":
    main()
