"""Where a secret could come to light: in what is kept, mailed and logged."""

from __future__ import annotations

import logging
import re

# Figures in which a PIN or a code could seem to stand: moments, and digests.
_CHANCE = re.compile(
    r"\b[0-9a-f]{64}\b|\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?([+-]\d{2}:\d{2}|Z)?"
)


def says(text: str, secret: str) -> bool:
    """Whether `secret` stands in `text`; a number only as a whole number."""
    if not secret.isdigit():
        return secret in text
    return re.search(rf"(?<!\d){secret}(?!\d)", text) is not None


def leaked(text: str, secrets: set[str]) -> list[str]:
    """Return which of the secrets stand in what is kept."""
    plain = _CHANCE.sub("", text)
    return [secret for secret in secrets if says(plain, secret)]


class Logs(logging.Handler):
    """All that was logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
