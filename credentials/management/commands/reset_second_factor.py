"""`manage.py reset_second_factor NAME --reason …`: where no colleague is left who could do it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credentials import audit, staff_accounts
from members.models import User


class Command(BaseCommand):
    """Takes a second factor away, from the console of the server; on record, with the reason."""

    help = "Re-sets the second factor of a member of staff, who enrols anew at the next sign-in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the staff name")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"], is_staff=True).first()
        if user is None:
            raise CommandError(f"There is no member of staff {options['name']}.")
        refusal = staff_accounts.take_second_factor_away(
            user, by=audit.SYSTEM, reason=options["reason"]
        )
        if refusal:
            raise CommandError(refusal.reason)
        self.stdout.write(f"{user.username} enrols anew at the next sign-in.")
