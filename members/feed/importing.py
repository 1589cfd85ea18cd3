"""Reads a feed chunk by chunk and counts what became of its lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from members.feed.chunks import Contended, OnAllCores, Outcome, Tell, bring_in
from members.feed.entries import Entry, read_entry
from members.feed.lines import (
    COLUMNS,
    FeedRefused,
    FeedStopped,
    Header,
    LineRejected,
    NotUTF8,
    is_blank,
    physical_lines,
    split_line,
)
from members.feed.rejects import Reject, RejectsFile
from members.feed.seen import Seen
from members.numbers import MEMBER_NUMBER_LENGTH, is_digits, plain_digits

# Lines in a transaction. More of them are hardly faster and hold locks and memory for longer.
CHUNK_LINES = 1000

_NUMBER = COLUMNS.index("member_number")


@dataclass(frozen=True)
class Counts:
    """How far an import is. `pins` counts the PINs written, `share` the file read (0 to 1)."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    pins: int = 0
    share: float = 0.0

    @property
    def lines(self) -> int:
        """Lines done: every line but the header and empty ones."""
        return self.created + self.updated + self.unchanged + self.rejected

    def plus(self, outcome: Outcome, *, rejected: int, share: float) -> Counts:
        """Return the counts after one more chunk."""
        return replace(
            self,
            created=self.created + outcome.created,
            updated=self.updated + outcome.updated,
            unchanged=self.unchanged + outcome.unchanged,
            pins=self.pins + outcome.pins,
            rejected=self.rejected + rejected,
            share=share,
        )


def import_feed(
    path: Path,
    *,
    progress: Callable[[Counts], None] = lambda counts: None,
    tell: Tell = lambda changes: None,
) -> Counts:
    """Bring the feed at `path` in and return what became of its lines.

    `progress` is called after every chunk; `tell`, in the transaction of the chunk, with whose
    card, PIN or address it changes (their sessions end with it). Bad lines go to
    FILE.rejects.csv. Raises FeedRefused where the file as a whole is bad (nothing is imported
    then), and FeedStopped where the database or the disk fails (the chunks before are in, and a
    second run goes on from there).
    """
    counts = Counts()
    with (
        _open(path) as file,
        Seen(lambda: _given_numbers(path)) as seen,
        _all_cores() as on_all_cores,
    ):
        size = os.fstat(file.fileno()).st_size
        lines = physical_lines(file)
        header = _header(lines)
        with RejectsFile(path) as rejects_file:
            while chunk := list(islice(lines, CHUNK_LINES)):
                entries, rejects, cells_of = _read(chunk, header, first=not counts.lines)
                try:
                    outcome = bring_in(entries, seen=seen, on_all_cores=on_all_cores, tell=tell)
                except (DatabaseError, Contended) as error:
                    raise _stopped(chunk[0][0], error) from None
                for entry, reason in outcome.rejected:
                    rejects.append(Reject(entry.line, reason, cells_of[entry.line]))
                rejects_file.write(rejects)
                share = file.tell() / size
                counts = counts.plus(outcome, rejected=len(rejects), share=share)
                progress(counts)
    return counts


def _open(path: Path) -> BinaryIO:
    # A regular file: it is measured, perhaps read twice, and its rejects are put beside it.
    if not path.exists():
        raise FeedRefused(_("There is no such file: %s") % path)
    if not path.is_file():
        raise FeedRefused(_("This is not a file: %s") % path)
    try:
        return path.open("rb")
    except OSError as error:
        raise FeedRefused(
            _("The file cannot be read: %(path)s (%(reason)s)")
            % {"path": path, "reason": error.strerror}
        ) from None


def _header(lines: Iterator[tuple[int, bytes | None]]) -> Header:
    for _line, raw in lines:
        return Header(raw)
    raise FeedRefused(_("The file is empty."))


def _read(
    chunk: list[tuple[int, bytes | None]], header: Header, *, first: bool
) -> tuple[list[Entry], list[Reject], dict[int, tuple[str, ...]]]:
    """Return the good lines, the bad ones, and the cells of each by its line."""
    today = timezone.localdate()
    entries: list[Entry] = []
    rejects: list[Reject] = []
    cells_of: dict[int, tuple[str, ...]] = {}
    not_utf8 = 0
    for line, raw in chunk:
        if is_blank(raw):
            continue
        try:
            split = split_line(raw)
            cells = cells_of[line] = header.pick(split)
            entries.append(read_entry(line, cells, today=today, balance=header.balance(split)))
        except LineRejected as error:
            not_utf8 += isinstance(error, NotUTF8)
            rejects.append(Reject(line, str(error), cells_of.get(line, ())))
    if first and not_utf8 > 1 and not_utf8 == len(rejects) + len(entries):
        raise FeedRefused(
            _("The file is not UTF-8 text (Shift_JIS, perhaps): no line of it can be read.")
        )
    return entries, rejects, cells_of


def _given_numbers(path: Path) -> Iterator[str]:
    """Yield the member number of every line that gives one, good or bad otherwise."""
    with path.open("rb") as file:
        lines = physical_lines(file)
        header = _header(lines)
        for _line, raw in lines:
            try:
                number = plain_digits(header.pick(split_line(raw))[_NUMBER])
            except LineRejected:
                continue
            if is_digits(number, MEMBER_NUMBER_LENGTH):
                yield number


@contextmanager
def _all_cores() -> Iterator[OnAllCores]:
    """Give a `map` over a thread for each core: Argon2 lets the others run while it works."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pins")
    try:
        yield pool.map
    finally:
        # Not after Ctrl-C: what waits in the queue would take seconds more.
        pool.shutdown(cancel_futures=True)


def _stopped(line: int, error: Exception) -> FeedStopped:
    # The kind of the error and not its text, which quotes rows.
    return FeedStopped(
        _(
            "Stopped at line %(line)d: the database failed (%(error)s). The lines before it are "
            "imported. Run the same file again to finish."
        )
        % {"line": line, "error": type(error).__name__}
    )
