"""How a connection to PostgreSQL is made: what is not in DATABASE_URL, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from portal.postgresql.connections import bounded

# The pool tries again by itself for so long, then with the next request: its pauses double, and
# after a night's outage it would sleep for minutes beside a database that is back.
_RECONNECT_SECONDS = 2
# For a connection of the pool; a little at a time, so that it can be thought over.
WAIT_SECONDS = 3
_TURN_SECONDS = 1


def connection_options(database: Mapping[str, Any], *, pool: int, seconds: int) -> dict[str, Any]:
    """Return OPTIONS for a database as DATABASE_URL describes it; what stands there wins.

    `pool`: connections of this process. `seconds`: what a statement may take; 0: what it takes.
    """
    options: dict[str, Any] = {
        # The least that libpq knows. With several hosts it is for each of them.
        "connect_timeout": 2,
        # A host that is gone without a word is found out within half a minute, also by commands.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    if "," in str(database["HOST"]):
        # Of several hosts the one that takes writes: the standby that was promoted.
        options["target_session_attrs"] = "read-write"
    if seconds:
        milliseconds = seconds * 1000
        options["options"] = (
            # The server gives up with us, and holds no lock for a client that is gone.
            f"-c statement_timeout={milliseconds}"
            f" -c idle_in_transaction_session_timeout={2 * milliseconds}"
        )
    options |= database.get("OPTIONS", {})
    # A thread that waits for a hashing slot holds no connection, so few of them serve many.
    options["pool"] = {
        "min_size": 1,
        "max_size": pool,
        "timeout": _TURN_SECONDS,
        "reconnect_timeout": _RECONNECT_SECONDS,
        # A second more than the server, which then says so itself if it can.
        "connection_class": bounded(seconds + 1) if seconds else Connection,
    }
    return options
