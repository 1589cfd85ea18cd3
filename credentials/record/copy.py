"""The copy of the record kept elsewhere: a file of JSON lines on another machine's storage.

Its first line says what it is, before anything is sealed: so a file that is empty, or not there,
is one that was lost. Each other line is a sealed event with its position and digest. Lines are
only ever appended, so the storage may be one that allows nothing else. A line that a crash cut
short is ended, never taken back; what it should have said follows once more. Of two lines for one
position the first counts.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from django.conf import settings

from credentials.record.chain import canonical

_AT_FIRST = 8 * 1024
_HEADING = b'{"copy_of":"the record","version":1}\n'


@dataclass(frozen=True)
class Line:
    """A sealed event as the copy has it; `event` is as `chain.plain` returns it."""

    position: int
    digest: str
    event: dict[str, Any]


def kept_at() -> Path | None:
    """Return where the copy is kept; None where this installation keeps none."""
    return Path(settings.RECORD_COPY) if settings.RECORD_COPY else None


@contextmanager
def opened(path: Path, *, new: bool = False) -> Iterator[FileIO]:
    """Open the copy to read its end and append to it, for one process at a time.

    `new`: make the file where there is none; otherwise it must be there.
    """
    create = os.O_CREAT if new else 0
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | create, 0o600)
    with FileIO(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def is_begun(file: FileIO) -> bool:
    """Whether anything is in it."""
    return file.seek(0, os.SEEK_END) > 0


def begin(file: FileIO) -> None:
    """Say what it is, and return once that is on the disk."""
    file.write(_HEADING)
    os.fsync(file.fileno())


def append(file: FileIO, lines: Iterable[Line]) -> None:
    """Append lines, and return once they are on the disk."""
    text = "".join(f"{canonical(asdict(line))}\n" for line in lines).encode()
    size = file.seek(0, os.SEEK_END)
    if size and _read(file, size - 1) != b"\n":
        text = b"\n" + text
    while text:
        text = text[file.write(text) :]
    os.fsync(file.fileno())


def last(file: FileIO) -> Line | None:
    """Return the last whole line; None where there is none."""
    size = file.seek(0, os.SEEK_END)
    much = _AT_FIRST
    while True:
        begin = max(size - much, 0)
        texts = _read(file, begin).split(b"\n")
        # The first may have begun further up.
        for text in reversed(texts if begin == 0 else texts[1:]):
            if line := _parsed(text):
                return line
        if begin == 0:
            return None
        much *= 4


def _read(file: FileIO, begin: int) -> bytes:
    file.seek(begin)
    parts = []
    while part := file.read(1 << 20):
        parts.append(part)
    return b"".join(parts)


def lines(path: Path, *, since: int = 1) -> Iterator[Line]:
    """Yield the lines from position `since` on, in order, each position once."""
    reached = since - 1
    with path.open("rb") as file:
        for text in file:
            line = _parsed(text)
            if line and line.position > reached:
                reached = line.position
                yield line
            if not text.endswith(b"\n"):
                # Still being written: the rest would look like a line of its own.
                return


def _parsed(text: bytes) -> Line | None:
    try:
        line = Line(**json.loads(text))
    except (ValueError, TypeError):
        return None
    whole = isinstance(line.position, int) and isinstance(line.event, dict)
    return line if whole and isinstance(line.digest, str) else None
