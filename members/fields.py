"""How the database keeps what names are compared by."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Value
from django.db.models.functions import Replace

from members.numbers import KANA_LEVELLED


class BytewiseField(models.CharField):
    """Text that the database orders by its bytes, so that an index finds a beginning as a range.

    PostgreSQL does so under the collation "C" only, whatever the database's own is; SQLite by
    itself, and it has no collation of that name.
    """

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        return {**parameters, "collation": "C" if connection.vendor == "postgresql" else None}


def levelled(expression: Any) -> Any:
    """`numbers.levelled_kana` by the database, of what is plain kana already."""
    for written, compared in KANA_LEVELLED:
        expression = Replace(expression, Value(written), Value(compared))
    return expression
