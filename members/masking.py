"""What somebody who may not see all of a member sees instead: enough to tell two apart.

The dots say nothing of how long the hidden part is.
"""

from __future__ import annotations

DOTS = "•••"


def masked_number(number: str) -> str:
    """Return a member number of which the last three digits show."""
    return f"{DOTS} {DOTS} {number[-3:]}"


def masked_name(name: str) -> str:
    """Return a name, in kanji or kana, of which each part shows its first character."""
    return " ".join(f"{part[0]}••" if len(part) > 1 else "••" for part in name.split())


def masked_text(text: str) -> str:
    """Return dots for what shows nothing of itself; nothing for nothing."""
    return DOTS * 2 if text else ""
