"""The rejects file: each line that could not be imported, with its number and the reason.

It holds no PIN. The column is left out; and because a slip of a comma can push a PIN into
another column, a cell that could be one is left empty. The line number finds the original.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from django.utils.translation import gettext as _

from members.feed.lines import COLUMNS, FeedStopped
from members.numbers import PIN_LENGTH, plain_digits

_PIN = COLUMNS.index("pin")
# A number with more digits than that may have a PIN at its end, for want of a comma.
_MOST_DIGITS = {"member_number": 9, "birth_date": 8, "phone": 11, "card_number": 16}
_MOST_DIGITS_FROM_ABROAD = 15
_FOUR_DIGITS = re.compile(r"(?<![0-9])[0-9]{4}(?![0-9])")
_SEPARATORS = (",", ";", "\t", '"')


class Reject(NamedTuple):
    """A rejected line. `cells` is empty where the line could not be told apart into columns."""

    line: int
    reason: str
    cells: tuple[str, ...] = ()


def rejects_path(feed: Path) -> Path:
    """Return where the rejects of `feed` are written: FILE.rejects.csv."""
    return feed.with_name(feed.name + ".rejects.csv")


def _could_hold_pin(column: str, cell: str, pin: str) -> bool:
    plain = unicodedata.normalize("NFKC", cell).strip()
    digits = plain_digits(plain)
    # All of one, or (a comma within it) a part.
    if (len(digits) <= PIN_LENGTH and digits.isdigit()) or (pin and plain == pin):
        return True
    most = _MOST_DIGITS.get(column, len(plain))
    if column == "phone" and plain.startswith("+"):
        most = _MOST_DIGITS_FROM_ABROAD
    if sum(character.isdigit() for character in plain) > most:
        return True
    # A cell that has swallowed its neighbour: "4111…1111,1234".
    return any(sign in plain for sign in _SEPARATORS) and bool(_FOUR_DIGITS.search(plain))


def _without_pin(cells: tuple[str, ...]) -> list[str]:
    if not cells:
        return [""] * (len(COLUMNS) - 1)
    pin = unicodedata.normalize("NFKC", cells[_PIN]).strip()
    return [
        "" if _could_hold_pin(column, cell, pin) else cell
        for column, cell in zip(COLUMNS, cells, strict=True)
        if column != "pin"
    ]


class RejectsFile:
    """Writes FILE.rejects.csv from the first reject on; with none, no such file is left.

    A context manager. Raises FeedStopped where the file cannot be written.
    """

    def __init__(self, feed: Path) -> None:
        self._path = rejects_path(feed)
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            # Asked first: on a read-only disk even removing nothing fails.
            if self._path.exists():
                self._path.unlink()
        except OSError:
            raise self._cannot_write() from None
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, rejects: list[Reject]) -> None:
        """Append `rejects` in the order of their lines."""
        rows: list[list[object]] = [
            [reject.line, reject.reason, *_without_pin(reject.cells)]
            for reject in sorted(rejects, key=lambda reject: reject.line)
        ]
        if not rows:
            return
        try:
            if self._file is None:
                self._file = self._open()
                rows.insert(0, ["line", "reason", *(name for name in COLUMNS if name != "pin")])
            csv.writer(self._file).writerows(rows)
            self._file.flush()
        except OSError:
            raise self._cannot_write() from None

    def _open(self) -> IO[str]:
        # Members' data: for whoever runs the import, and nobody else.
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self._path, "x", encoding="utf-8", newline="", opener=private)

    def _cannot_write(self) -> FeedStopped:
        return FeedStopped(_("The rejects file cannot be written: %s") % self._path)
