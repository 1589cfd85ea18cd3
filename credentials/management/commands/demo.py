"""`manage.py demo`: the whole portal on one machine, with made-up members and staff."""

from __future__ import annotations

import csv
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

import members
from credentials import second_factor, suspension, totp
from credentials.attempts import reserve
from credentials.management.commands.worker import work
from credentials.models import SecondFactor
from members import pins
from members.models import Card, Member, User, Way, WebID
from members.numbers import grouped

FEED = Path(members.__file__).with_name("demo_members.csv")
WEB_ID = "hanako2026"
PASSWORD = "demo password of a member"
STAFF_PASSWORD = "demo password of the staff"
APP_SECRET = b"demo of the portal!!"
STAFF = {
    "demo-call-centre": "Call centre",
    "demo-store": "Store",
    "demo-auditor": "Auditor",
    "demo-administrator": "Administrator",
}

SIGN_HERE = """
────────────────────────────────────────────────────────────────────────
 The portal:  {url}          (Ctrl-C ends it)

 Members: {url}login/
   without a Web-ID   card {cards[0]}   PIN {pins[0]}
                      to register one: member number {numbers[0]}
                                       email         {email}
   with a Web-ID      card {cards[1]}   PIN {pins[1]}
                      Web-ID {web_id}   password: {password}
   suspended          card {cards[2]}   PIN {pins[2]}
                      (refused like a wrong PIN; staff can lift it)

 Staff: {url}admin/           password of all: {staff_password}
{staff}
   The second step takes a code. The secret for an authenticator app, the same for all:
      {secret}
   No app? `python manage.py demo --code` prints the code of the moment; each works once
   for an account, as does each recovery code (a new run of the demo makes new ones).
 The terminal in the store: {url}pin/
 Every mail is shown here, on this console.
────────────────────────────────────────────────────────────────────────
"""


class Command(BaseCommand):
    """Sets up what is missing, puts the three members shown back as shown, and serves."""

    help = "Migrates, imports made-up members, and serves the portal on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--no-serve", action="store_true", help="Set everything up, print, and stop there."
        )

        parser.add_argument(
            "--code", action="store_true", help="Print the staff's code of the moment, and stop."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "The demo writes made-up members and known passwords into the database. "
                "It runs only with DEBUG=on."
            )
        if options["code"]:
            left = totp.STEP_SECONDS - int(time.time()) % totp.STEP_SECONDS
            code = totp.code_at(APP_SECRET, int(time.time()) // totp.STEP_SECONDS)
            self.stdout.write(f"{code}   (a new one in {left} seconds)")
            return
        settings.EMAIL_BACKEND = "credentials.mail.ReadableConsole"
        call_command("migrate", verbosity=0)
        call_command("import_members", str(FEED))
        with FEED.open(encoding="utf-8", newline="") as lines:
            shown = [row for row, _ in zip(csv.DictReader(lines), range(3), strict=False)]
        self._as_printed(shown)
        url = f"http://127.0.0.1:{options['port']}/"
        self.stdout.write(
            SIGN_HERE.format(
                url=url,
                cards=[grouped(row["card_number"], 4) for row in shown],
                pins=[row["pin"] for row in shown],
                numbers=[row["member_number"] for row in shown],
                email=shown[0]["email"],
                web_id=WEB_ID,
                password=PASSWORD,
                staff_password=STAFF_PASSWORD,
                secret=grouped(totp.in_letters(APP_SECRET), 4),
                staff="\n".join(self._staff()),
            )
        )
        if not options["no_serve"]:
            self._serve(options["port"])

    def _as_printed(self, shown: list[dict[str, str]]) -> None:
        """Put the three members and the staff into the state that is printed."""
        for row in shown:
            card = Card.objects.select_related("member__user").get(number=row["card_number"])
            if not pins.matches(card.sealed_pin, row["pin"], card_number=card.number):
                card.sealed_pin = pins.seal(row["pin"], card_number=card.number)
            card.pin_origin = Card.Origin.FEED
            card.save()
            User.objects.filter(member=card.member).update(
                password="!", **suspension.lifted(in_person=True)
            )
            WebID.objects.filter(member=card.member).delete()
        with_web_id = Member.objects.get(number=shown[1]["member_number"])
        WebID.objects.filter(name__lower=WEB_ID).delete()
        WebID.objects.create(member=with_web_id, name=WEB_ID)
        with_web_id.user.set_password(PASSWORD)
        with_web_id.user.save(update_fields=["password"])
        for _failure in range(settings.LOGIN_FAILURE_LIMIT):
            number = shown[2]["card_number"]
            attempt = reserve(Way.CARD, number)
            suspension.fail(attempt, way=Way.CARD, name=number, source="127.0.0.1")

    def _staff(self) -> Iterator[str]:
        """Put the staff into the state that is printed; yield a line for each."""
        for name, role in STAFF.items():
            user = User.objects.filter(username=name).first() or User(username=name)
            user.is_staff = True
            user.set_password(STAFF_PASSWORD)
            user.save()
            User.objects.filter(pk=user.pk).update(**suspension.lifted(in_person=True))
            user.groups.set([Group.objects.get(name=role)])
            sealed = second_factor.seal(APP_SECRET, user.pk)
            factor = SecondFactor(pk=user.pk, sealed_secret=sealed, last_step=0)
            factor.save()
            shown = [grouped(code, 5) for code in second_factor.replace_recovery_codes(factor)]
            yield f"   {name:20} {role:15} recovery codes: {', '.join(shown[:3])}"

    def _serve(self, port: int) -> None:
        # However it was started, and whichever of the two it gets, it ends cleanly.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        stop = threading.Event()
        worker = threading.Thread(target=work, args=(stop,), name="worker")
        worker.start()
        try:
            call_command("runserver", f"127.0.0.1:{port}", use_reloader=False, verbosity=0)
        except KeyboardInterrupt:
            pass
        finally:
            stop.set()
            worker.join()
            self.stdout.write("The portal has stopped.")
