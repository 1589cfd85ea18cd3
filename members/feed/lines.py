"""From the bytes of a feed to the cells of a line.

Physical lines are read one by one, and a line stands for itself: a field cannot go on in the
next line. So a broken quote costs the line it is in and never swallows its neighbours, and
nothing of a neighbour (its PIN, say) can end up in a message about it.

No message here quotes what stands in the file: where a header is missing, its "unknown columns"
are somebody's data.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from operator import itemgetter
from typing import BinaryIO

from django.utils.translation import gettext as _

COLUMNS = (
    "member_number",
    "name",
    "name_kana",
    "birth_date",
    "email",
    "phone",
    "card_number",
    "pin",
)
# Columns that a feed may have or leave out.
OPTIONAL_COLUMNS: tuple[str, ...] = ()

# The longest that a good line can be is about 2,000 bytes.
MAX_LINE_BYTES = 16 * 1024

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

# Control characters (NUL is one, and PostgreSQL takes none), line separators, and the marks that
# turn the direction of writing and so make a name look like another.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# RFC 4180: a quote stands around a whole field, and inside one only doubled. The csv module is
# laxer: it takes a quote in the middle of an unquoted field as it is.
_FIELD = r'(?:"(?:[^"]|"")*+"|[^",]*+)'
_WELL_QUOTED = re.compile(f"{_FIELD}(?:,{_FIELD})*+")


class FeedRefused(Exception):
    """The file as a whole cannot be imported. The text is for the operator, with no data in it."""


class FeedStopped(Exception):
    """The import ended before the end of the file; what came before is in. Text as above."""


class LineRejected(Exception):
    """One line cannot be imported. The text is the reason, with no data of the line in it."""


class NotUTF8(LineRejected):
    """The bytes of the line are not UTF-8."""


def physical_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield (number from 1, bytes) for every line; None for the bytes of an overlong one."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, raw


def is_blank(raw: bytes | None) -> bool:
    """Whether the line is empty: it is passed over, as at the end of many files."""
    return raw in (b"\n", b"\r\n")


def split_line(raw: bytes | None) -> list[str]:
    """Return the cells of a line as `physical_lines` yields it; raises LineRejected."""
    if raw is None:
        raise LineRejected(_("The line is too long."))
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise NotUTF8(_("The line is not UTF-8 text.")) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if _FORBIDDEN.search(text):
        raise LineRejected(_("The line holds a NUL or another control character."))
    if '"' not in text:
        return text.split(",")
    if not _WELL_QUOTED.fullmatch(text):
        raise LineRejected(
            _("A quotation mark is not closed or out of place. A field cannot span lines.")
        )
    return next(csv.reader([text], strict=True))


class Header:
    """The first line of a feed: which column stands where."""

    def __init__(self, raw: bytes | None) -> None:
        """Read the first line of a file; raises FeedRefused with what is wrong with it."""
        if raw and raw.startswith(_UTF_16):
            raise FeedRefused(_("The file is UTF-16 text; the feed must be UTF-8."))
        try:
            cells = split_line(raw and raw.removeprefix(_BOM))
        except LineRejected as error:
            raise FeedRefused(_("The header cannot be read. %s") % error) from None
        names = [cell.strip() for cell in cells]
        known = COLUMNS + OPTIONAL_COLUMNS
        missing = [name for name in COLUMNS if name not in names]
        twice = [name for name in known if names.count(name) > 1]
        unknown = sum(name not in known for name in names)
        wrong = []
        if missing:
            wrong.append(_("missing: %s") % ", ".join(missing))
        if twice:
            wrong.append(_("more than once: %s") % ", ".join(twice))
        if unknown:
            wrong.append(_("unknown columns: %d") % unknown)
        if wrong:
            raise FeedRefused(
                _("The header is wrong (%(wrong)s). The first line must be: %(columns)s")
                % {"wrong": "; ".join(wrong), "columns": ",".join(COLUMNS)}
            )
        self._width = len(names)
        self._pick = itemgetter(*map(names.index, COLUMNS))

    def pick(self, cells: list[str]) -> tuple[str, ...]:
        """Return the cells of a line in the order of COLUMNS; raises LineRejected."""
        if len(cells) != self._width:
            raise LineRejected(
                _("The line has %(found)d columns, the header %(expected)d.")
                % {"found": len(cells), "expected": self._width}
            )
        picked: tuple[str, ...] = self._pick(cells)
        return picked
