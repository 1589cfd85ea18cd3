"""Which numbers the file has brought so far, in memory that does not grow with the file.

Kept in a nameless SQLite database: SQLite spills it to a temporary file that is unlinked as soon
as it is opened. It holds numbers and line numbers, never a PIN.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import NamedTuple, Self


class Claim(NamedTuple):
    """An imported line: the member number (as given, found or issued) and card it stands for."""

    line: int
    number: str
    card_number: str


class Seen:
    """Remembers imported lines by member number and card number. A context manager.

    `given` returns an iterator over every member number that stands anywhere in the file; it is
    called at most once, and only if a member number has to be issued.
    """

    def __init__(self, given: Callable[[], Iterable[str]]) -> None:
        self._given = given
        self._given_is_known = False
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -4096;
            CREATE TABLE number (value INTEGER PRIMARY KEY, line INTEGER NOT NULL);
            CREATE TABLE card (value INTEGER PRIMARY KEY, line INTEGER NOT NULL);
            CREATE TABLE given (value INTEGER PRIMARY KEY);
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def numbers(self, numbers: Iterable[str]) -> dict[str, int]:
        """Return the line that brought each of these member numbers, for those brought."""
        return self._lines("number", numbers, digits=9)

    def cards(self, cards: Iterable[str]) -> dict[str, int]:
        """Return the line that brought each of these card numbers, for those brought."""
        return self._lines("card", cards, digits=16)

    def remember(self, claims: list[Claim]) -> None:
        """Remember imported lines."""
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.executemany(
                "INSERT INTO number VALUES (?, ?)",
                ((int(claim.number), claim.line) for claim in claims),
            )
            cursor.executemany(
                "INSERT INTO card VALUES (?, ?)",
                ((int(claim.card_number), claim.line) for claim in claims),
            )
            cursor.execute("COMMIT")

    def given_among(self, numbers: Iterable[str]) -> set[str]:
        """Return those of `numbers` that some line of the file gives, before or after this one.

        Issuing one of them would make that line rewrite somebody else's membership.
        """
        if not self._given_is_known:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT OR IGNORE INTO given VALUES (?)",
                ((int(number),) for number in self._given()),
            )
            self._database.execute("COMMIT")
            self._given_is_known = True
        return {number for number, _line in self._find("given", "0", numbers, digits=9)}

    def _lines(self, table: str, values: Iterable[str], *, digits: int) -> dict[str, int]:
        return dict(self._find(table, "line", values, digits=digits))

    def _find(
        self, table: str, column: str, values: Iterable[str], *, digits: int
    ) -> list[tuple[str, int]]:
        wanted = [int(value) for value in values]
        marks = ",".join("?" * len(wanted))
        # Table and column are constants of this module.
        rows = self._database.execute(
            f"SELECT value, {column} FROM {table} WHERE value IN ({marks})",  # noqa: S608
            wanted,
        )
        return [(f"{value:0{digits}}", line) for value, line in rows]
