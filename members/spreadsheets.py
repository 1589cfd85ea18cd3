"""Cells of the CSV files that people open in a spreadsheet, which takes some for formulas."""

from __future__ import annotations

# What makes a spreadsheet compute a cell (OWASP, CSV Injection); full-width ones in Japanese ones.
_COMPUTED = tuple("=+-@\t\r\n＝＋－＠")


def neutral(cell: object) -> str:
    """Return a cell that no spreadsheet computes."""
    text = str(cell)
    return f"'{text}" if text.startswith(_COMPUTED) else text
