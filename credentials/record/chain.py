"""The chain of the record: one digest over each event, its place, and the digest before.

So an event that is changed, deleted, or moved to another place no longer fits its seal, and who
would hide that has to make every later seal anew, which the copy elsewhere shows
(credentials.record.copy). The digest covers every column of the event, and is the same on both
databases.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from typing import Any

from credentials.models import Event

# What stands before the first seal.
BEGINNING = "0" * 64


def plain(event: Event) -> dict[str, Any]:
    """Return every column of an event as JSON knows it; the time in UTC, with microseconds."""
    return {
        "id": event.pk,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "act": event.act,
        "by": event.by,
        "whom": event.whom,
        "source": event.source,
        "details": event.details,
    }


def canonical(value: Any) -> str:
    """Return the one text that stands for a plain value: one line, in ASCII, keys in order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(before: str, position: int, event: dict[str, Any]) -> str:
    """Return the digest of a `plain` event at its place, after the digest `before`."""
    return hashlib.sha256(canonical([before, position, event]).encode()).hexdigest()
