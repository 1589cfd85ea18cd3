"""From a name in letters to how it may stand in kana.

    readings("sato kenichi") → サトケニチ, サトケンイチ, サトウケニチ, …

Letters say less than kana: passports leave long vowels out (satō, sato: サトウ), and without an
apostrophe "kenichi" may be two names. So one spelling has several readings, likeliest first.
Hepburn, Kunrei and what people make of both; the table is the Cabinet's of 1954 (訓令式, tables
1 and 2) with the passport rules of the Ministry of Foreign Affairs (OH, and M before B, M, P).

No library: those at hand give one reading only, without long vowels, and turn "homma" into ホッマ.
"""

from __future__ import annotations

import unicodedata
from itertools import permutations, product

# Beyond these the rest is ever less likely, and each one costs a look into the index.
MOST_READINGS = 16

_VOWELS = "aiueo"
_ROWS = {
    "": "アイウエオ",
    "k": "カキクケコ",
    "s": "サシスセソ",
    "t": "タチツテト",
    "n": "ナニヌネノ",
    "h": "ハヒフヘホ",
    "m": "マミムメモ",
    "r": "ラリルレロ",
    "l": "ラリルレロ",
    "g": "ガギグゲゴ",
    "z": "ザジズゼゾ",
    "d": "ダヂヅデド",
    "b": "バビブベボ",
    "p": "パピプペポ",
}
_OTHERS = {
    "ya": "ヤ", "yu": "ユ", "yo": "ヨ", "wa": "ワ", "wi": "ヰ", "we": "ヱ", "wo": "ヲ",
    "shi": "シ", "chi": "チ", "tsu": "ツ", "fu": "フ", "ji": "ジ", "vu": "ヴ",
    "fa": "ファ", "fi": "フィ", "fe": "フェ", "fo": "フォ", "ti": "ティ", "di": "ディ",
    "va": "ヴァ", "vi": "ヴィ", "ve": "ヴェ", "vo": "ヴォ", "je": "ジェ", "she": "シェ",
    "che": "チェ",
}  # fmt: skip
_CONTRACTED = {
    "ky": "キ", "gy": "ギ", "sy": "シ", "sh": "シ", "zy": "ジ", "jy": "ジ", "j": "ジ",
    "ty": "チ", "ch": "チ", "cy": "チ", "ny": "ニ", "hy": "ヒ", "by": "ビ", "py": "ピ",
    "my": "ミ", "ry": "リ", "ly": "リ", "dy": "ヂ",
}  # fmt: skip


def _table() -> dict[str, str]:
    table = {
        consonant + vowel: kana
        for consonant, row in _ROWS.items()
        for vowel, kana in zip(_VOWELS, row, strict=True)
    }
    table |= {
        consonant + vowel: kana + small
        for consonant, kana in _CONTRACTED.items()
        for vowel, small in zip("auo", "ャュョ", strict=True)
    }
    return table | _OTHERS


_SYLLABLES = _table()
_LONGEST = max(map(len, _SYLLABLES))
# Letters that go on with ン's n as another syllable; vowels that may be long without saying so.
_ROW_N = ("a", "i", "u", "e", "o", "y")
_LONG_U = "ユュフ"
_LONG = "オコソトノホモヨロゴゾドボポョ" + _LONG_U
_MACRONS = {"ā": "aa", "ī": "ii", "ū": "uu", "ē": "ee", "ō": "oh"}
_MACRONS |= {"â": "aa", "î": "ii", "û": "uu", "ê": "ee", "ô": "oh"}


def readings(text: str) -> list[str]:
    """Return how a name in letters may read in katakana, without spaces; likeliest first.

    The words in either order, for people write their given name first. A last consonant that
    has no vowel yet is left out (the name is still being typed). Nothing where it is no romaji;
    at most MOST_READINGS.
    """
    words = unicodedata.normalize("NFKC", text.lower()).split()
    read = [_word(word) for word in words]
    if not words or not all(read):
        return []
    found: dict[str, float] = {}
    orders = permutations(read) if len(read) == 2 else [tuple(read)]
    for turn, order in enumerate(orders):
        for parts in product(*order):
            # The fewer long vowels are made up, the likelier; so is the order as typed.
            reading = "".join(parts)
            found.setdefault(reading, len(reading) + turn / 2)
    # What follows a beginning is found with it: サト finds サトウ.
    likeliest: list[str] = []
    for reading in sorted(found, key=lambda reading: found[reading]):
        if reading and not any(reading.startswith(beginning) for beginning in likeliest):
            likeliest.append(reading)
    return likeliest[:MOST_READINGS]


def _word(word: str) -> list[str]:
    """Return the readings of one word."""
    for long, letters in _MACRONS.items():
        word = word.replace(long, letters)
    found: list[str] = []
    # What is left to read, what was read.
    paths = [(word, "")]
    while paths and len(found) < MOST_READINGS:
        rest, read = paths.pop(0)
        if not rest:
            found.append(read)
            continue
        paths += [(rest[used:], read + kana) for used, kana in _next(rest, first=not read)]
        # Whatever somebody types, the work is bounded.
        del paths[4 * MOST_READINGS :]
    return found


def _next(rest: str, *, first: bool) -> list[tuple[int, str]]:
    """Return the ways to go on: how many letters are used, and the kana they stand for."""
    if rest[0] in "'-’":
        return [(1, "")]
    ways = []
    for used in range(min(_LONGEST, len(rest)), 0, -1):
        if kana := _SYLLABLES.get(rest[:used]):
            ways = _long_or_short(rest[used:], used, kana, first=first)
            break
    following = rest[1:2]
    if rest[0] == "n" and following == "n":
        # コンノ, but カンダ where both letters are for one ン.
        ways.append((1 if rest[2:3] in _ROW_N else 2, "ン"))
    elif rest[0] == "n" and (not ways or following in ("i", "y")):
        # The end of a syllable; and ケンイチ without its apostrophe.
        ways.append((1, "ン"))
    elif rest[0] == "m" and following in ("b", "m", "p"):
        ways.append((1, "ン"))
    elif rest[:3] == "tch" or (rest[0] == following and rest[0] not in _VOWELS):
        ways.append((1, "ッ"))
    elif not ways and any(syllable.startswith(rest) for syllable in _SYLLABLES):
        # Not typed to the end yet.
        ways.append((len(rest), ""))
    return ways


def _long_or_short(rest: str, used: int, kana: str, *, first: bool) -> list[tuple[int, str]]:
    """Return a syllable as it is and, where letters leave that open, with its vowel long."""
    short, with_u, with_o = (used, kana), (used, kana + "ウ"), (used, kana + "オ")
    if kana[-1] not in _LONG:
        return [short]
    if rest[:1] == "h" and rest[1:2] not in _ROW_N and kana[-1] not in _LONG_U:
        return [(used + 1, kana + "ウ")] + ([(used + 1, kana + "オ")] if first else [])
    if rest[:1] in ("o", "u"):
        # The long vowel is spelt out.
        return [short]
    if kana == "オ":
        return [short, with_o] if first else [short]
    return [short, with_u, with_o] if kana == "ト" and first else [short, with_u]
