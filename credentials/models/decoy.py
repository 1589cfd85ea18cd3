"""What counts the attempts that no account counts."""

from __future__ import annotations

from django.db import models


class Decoy(models.Model):
    """A row to write to where there is no account, so that both take the same time.

    What it counted means nothing.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    attempts = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"decoy {self.id}"
