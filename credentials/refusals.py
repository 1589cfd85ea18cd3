"""What an act answers when it does not do what was asked.

Acts return a refusal instead of raising: a raise inside a transaction would roll back the very
count that the refusal is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Why(Enum):
    """The kinds of refusal. REFUSED never says which of unknown, wrong or suspended it was."""

    REFUSED = "refused"
    THROTTLED = "throttled"
    BUSY = "busy"
    CLOSED = "closed"
    TAKEN = "taken"
    WEAK = "weak"
    NOT_PERMITTED = "not permitted"


@dataclass(frozen=True)
class Refusal:
    """Why an act refused; `retry_after` in seconds where waiting helps; `reason` to show."""

    why: Why
    retry_after: int = 0
    reason: str = ""


REFUSED = Refusal(Why.REFUSED)
BUSY = Refusal(Why.BUSY, retry_after=2)
