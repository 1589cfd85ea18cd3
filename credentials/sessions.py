"""Sessions: where they are kept, how one is opened, how long it lasts, whose it is.

A session ends by itself when it was idle or open for too long, by the database's clock; at once
when its user's epoch or password changes (members.User.get_session_auth_hash); and on signing
out, when its row goes. Staff have limits of their own.

The key that opens a session is in its cookie alone: the row has a digest of it, so that whoever
reads the table, or a dump of it, opens none.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.db import connection
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, QuerySet, When
from django.db.models.functions import Now
from django.utils.crypto import get_random_string

from credentials import models
from members.models import User

BACKEND = "credentials.sessions.SignedInUsers"
_CLOSURE_UNDER_WAY = models.Closure.objects.filter(member=OuterRef("member"), ended_at__isnull=True)
# Written out, because every page of a signed-in member runs it: to put it together anew each time
# takes Django longer than the database takes to answer.
_LOAD = """
    SELECT session.data, session.last_seen_at < {ago}
    FROM credentials_session AS session LEFT JOIN members_user AS u ON u.id = session.user_id
    WHERE session.key_digest = %s AND session.last_seen_at > {ago} AND session.opened_at > {ago}
"""
_AGO = {
    "postgresql": "STATEMENT_TIMESTAMP() - {seconds} * INTERVAL '1 second'",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-' || {seconds} || ' seconds')",
}
_SECONDS = "CASE WHEN u.is_staff THEN %s ELSE %s END"
_KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class SignedInUsers(ModelBackend):
    """Brings the user of a session back, and knows permissions; signs nobody in.

    Django's `authenticate()` answers user-or-None and counts nothing, so it is not a way in
    here: the only ways in are the acts in `credentials.login`.
    """

    def authenticate(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Return None: nobody signs in this way."""

    def get_user(self, user_id: Any) -> User | None:
        """Return the user with what every page shows of them, in one statement."""
        users = User.objects.select_related("member__card", "member__web_id")
        try:
            return users.annotate(closure_under_way=Exists(_CLOSURE_UNDER_WAY)).get(
                pk=user_id, is_active=True
            )
        except User.DoesNotExist:
            return None


def _oldest(members: int, staff: int) -> Case:
    """Return the moment so many seconds ago, by whose session it is. Visitors are as members."""
    return Case(
        When(user__is_staff=True, then=Now() - timedelta(seconds=staff)),
        default=Now() - timedelta(seconds=members),
        output_field=DateTimeField(),
    )


def _idle_since() -> Case:
    """Return the moment before which a session was idle for too long."""
    return _oldest(settings.SESSION_IDLE_SECONDS, settings.STAFF_SESSION_IDLE_SECONDS)


def _open_since() -> Case:
    return _oldest(settings.SESSION_ABSOLUTE_SECONDS, settings.STAFF_SESSION_ABSOLUTE_SECONDS)


class SessionStore(SessionBase):
    """Keeps a session in one row, and writes it only when there is something to write."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._stored: str | None = None

    @classmethod
    def get_model_class(cls) -> type[models.Session]:
        """Return the table, as Django's own database sessions offer it."""
        return models.Session

    def encode(self, session_dict: dict[str, Any]) -> str:
        return json.dumps(session_dict, separators=(",", ":"), sort_keys=True)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(session_data)
        return data

    def load(self) -> dict[str, Any]:
        """Return the data of a live session; an expired or unknown one gets a new, empty start.

        Its idle time starts again with this request; to save writes, only after a tenth of it
        has passed.
        """
        idle = (settings.STAFF_SESSION_IDLE_SECONDS, settings.SESSION_IDLE_SECONDS)
        absolute = (settings.STAFF_SESSION_ABSOLUTE_SECONDS, settings.SESSION_ABSOLUTE_SECONDS)
        refreshed = tuple(seconds / 10 for seconds in idle)
        sql = _LOAD.format(ago=_AGO[connection.vendor].format(seconds=_SECONDS))
        with connection.cursor() as cursor:
            cursor.execute(sql, [*refreshed, digest(self.session_key), *idle, *absolute])
            row = cursor.fetchone()
        if row is None:
            self._session_key = None
            return {}
        self._stored, stale = row
        if stale:
            rows(self.session_key).update(last_seen_at=Now())
        return self.decode(self._stored)

    def exists(self, session_key: str) -> bool:
        return rows(session_key).exists()

    def create(self) -> None:
        """Start under a new key. 32 random characters do not collide, so none is looked up."""
        self._session_key = get_random_string(32, _KEY_CHARACTERS)
        self._stored = None
        self.save(must_create=True)
        self.modified = True

    def cycle_key(self) -> None:
        """Go on under a new key; the session stays as old as it is."""
        self._get_session()  # type: ignore[attr-defined]
        old, new = self.session_key, get_random_string(32, _KEY_CHARACTERS)
        if old and rows(old).update(key_digest=digest(new)):
            self._session_key = new
            self.modified = True
        else:
            self.create()

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        data = self.encode(self._get_session(no_load=must_create))  # type: ignore[attr-defined]
        if data == self._stored:
            return None
        if must_create:
            models.Session.objects.create(
                key_digest=digest(self.session_key), data=data, user_id=self.get(SESSION_KEY)
            )
        elif not rows(self.session_key).update(data=data, last_seen_at=Now()):
            raise UpdateError
        self._stored = data
        return None

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            rows(key).delete()

    def get_expire_at_browser_close(self) -> bool:
        """True: phones and shared computers keep no session cookie on disk."""
        return True

    @classmethod
    def clear_expired(cls) -> None:
        """Delete the rows whose time is over (`manage.py clearsessions`, and the worker)."""
        # The moments as an alias: compared with directly, the join to the user would be an inner
        # one, and the sessions of visitors, who are nobody yet, would never go.
        sessions = models.Session.objects.alias(idle_since=_idle_since(), open_since=_open_since())
        sessions.filter(last_seen_at__lt=F("idle_since")).delete()
        sessions.filter(opened_at__lt=F("open_since")).delete()


def digest(key: str | None) -> str:
    """Return what is kept of a session's key, empty for none.

    Plain SHA-256: nobody guesses 165 random bits.
    """
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


def rows(key: str | None) -> QuerySet[models.Session]:
    """Return the at most one row of the session that this key opens."""
    return models.Session.objects.filter(key_digest=digest(key))


def open_session(session: SessionBase, user: User, **noted: Any) -> None:
    """Make `session` the user's, under a new key and with nothing left from before but `noted`.

    Writes one row, in the caller's transaction. The caller also rotates the CSRF token.
    """
    start_over(
        session,
        **{
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: BACKEND,
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        },
        **noted,
    )


def start_over(session: SessionBase, **noted: Any) -> None:
    """Give `session` a new key and nothing but what is `noted`. In the caller's transaction."""
    if session.session_key:
        session.delete()
    session.clear()
    for name, value in noted.items():
        session[name] = value
    session.create()


def opened_at(session: SessionBase) -> datetime | None:
    """Return when this session was opened; None where it is not stored."""
    return rows(session.session_key).values_list("opened_at", flat=True).first()


def others_open(session: SessionBase, user: User) -> int:
    """Return how many sessions of the user's are open now, by the database's clock, beside this."""
    live = models.Session.objects.alias(idle_since=_idle_since(), open_since=_open_since()).filter(
        user=user, last_seen_at__gt=F("idle_since"), opened_at__gt=F("open_since")
    )
    others = live.exclude(key_digest=digest(session.session_key)).values_list("data", flat=True)
    # The row of a session that an epoch has ended stays until it is seen or tidied away.
    good = user.get_session_auth_hash()
    return sum(json.loads(data).get(HASH_SESSION_KEY) == good for data in others)


def keep_session(session: SessionBase, user: User) -> None:
    """Let this one session of the user's outlive a change of epoch or password, under a new key."""
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.cycle_key()
