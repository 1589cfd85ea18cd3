"""Time that passes: every row grows older, and no clock is touched.

Expiries and suspensions go by the database's clock, which a test cannot turn; so the moments that
are on record move into the past instead.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import DateTimeField, F, Model

from credentials.models import OutboxMail, PinReset, RegistrationRequest, Session
from members.models import User

_WITH_MOMENTS: tuple[type[Model], ...] = (User, Session, RegistrationRequest, PinReset, OutboxMail)


def time_passes(**passed: float) -> None:
    """Let so much time pass: `time_passes(hours=24, seconds=1)`."""
    for model in _WITH_MOMENTS:
        moments = [
            field.name for field in model._meta.concrete_fields if isinstance(field, DateTimeField)
        ]
        model._default_manager.update(**{name: F(name) - timedelta(**passed) for name in moments})
