"""The feed of made-up members that the demo imports: `members/demo_members.csv`.

    python -m members.demo_feed > members/demo_members.csv

Always the same 200 members. Nothing in it can reach anybody: card numbers begin with 9392, which
ISO/IEC 7812 leaves to Japan's own use and no card scheme has; phone numbers with 090-0, which is
not handed out; addresses are at domains reserved for examples. The first three members are those
whom the demo shows; the rest fill the searches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import TypeVar

from members.numbers import has_valid_check_digit

MEMBERS = 200
HEADER = "member_number,name,name_kana,birth_date,email,phone,card_number,pin"

# Old enough to borrow, for good: 18 by 2025, and none older than 90 before 2031.
_BORN_FROM, _BORN_TO = date(1940, 4, 2), date(2006, 12, 31)
_SEED = 20260401
_CARD_PREFIX = "9392000"

# Common family and given names: as written, in kana, in letters.
_FAMILIES = (
    ("佐藤", "サトウ", "sato"),
    ("鈴木", "スズキ", "suzuki"),
    ("高橋", "タカハシ", "takahashi"),
    ("田中", "タナカ", "tanaka"),
    ("伊藤", "イトウ", "ito"),
    ("渡辺", "ワタナベ", "watanabe"),
    ("山本", "ヤマモト", "yamamoto"),
    ("中村", "ナカムラ", "nakamura"),
    ("小林", "コバヤシ", "kobayashi"),
    ("加藤", "カトウ", "kato"),
    ("吉田", "ヨシダ", "yoshida"),
    ("山田", "ヤマダ", "yamada"),
    ("佐々木", "ササキ", "sasaki"),
    ("山口", "ヤマグチ", "yamaguchi"),
    ("松本", "マツモト", "matsumoto"),
    ("井上", "イノウエ", "inoue"),
    ("木村", "キムラ", "kimura"),
    ("斎藤", "サイトウ", "saito"),
    ("清水", "シミズ", "shimizu"),
    ("阿部", "アベ", "abe"),
    ("森", "モリ", "mori"),
    ("池田", "イケダ", "ikeda"),
    ("橋本", "ハシモト", "hashimoto"),
    ("石川", "イシカワ", "ishikawa"),
    ("小川", "オガワ", "ogawa"),
    ("長谷川", "ハセガワ", "hasegawa"),
    ("近藤", "コンドウ", "kondo"),
    ("石井", "イシイ", "ishii"),
    ("遠藤", "エンドウ", "endo"),
    ("五十嵐", "イガラシ", "igarashi"),
)
_GIVEN = (
    ("太郎", "タロウ", "taro"),
    ("花子", "ハナコ", "hanako"),
    ("一郎", "イチロウ", "ichiro"),
    ("健太", "ケンタ", "kenta"),
    ("大輔", "ダイスケ", "daisuke"),
    ("翔太", "ショウタ", "shota"),
    ("拓也", "タクヤ", "takuya"),
    ("直樹", "ナオキ", "naoki"),
    ("浩", "ヒロシ", "hiroshi"),
    ("誠", "マコト", "makoto"),
    ("正夫", "マサオ", "masao"),
    ("和夫", "カズオ", "kazuo"),
    ("陽子", "ヨウコ", "yoko"),
    ("久美子", "クミコ", "kumiko"),
    ("恵子", "ケイコ", "keiko"),
    ("美咲", "ミサキ", "misaki"),
    ("愛", "アイ", "ai"),
    ("さくら", "サクラ", "sakura"),
    ("結衣", "ユイ", "yui"),
    ("真由美", "マユミ", "mayumi"),
    ("由美", "ユミ", "yumi"),
    ("裕子", "ユウコ", "yuko"),
    ("あゆみ", "アユミ", "ayumi"),
    ("翼", "ツバサ", "tsubasa"),
    ("蓮", "レン", "ren"),
    ("幸子", "サチコ", "sachiko"),
)

Row = tuple[str, ...]
_T = TypeVar("_T")

# The three whom the demo shows: without a Web-ID, with one, suspended.
_SHOWN: tuple[tuple[str, str, str, str], ...] = (
    ("田中 太郎", "タナカ タロウ", "1979-05-14", "taro.tanaka@example.jp"),
    ("山田 花子", "ヤマダ ハナコ", "1986-11-03", "hanako.yamada@example.jp"),
    ("佐藤 健太", "サトウ ケンタ", "1994-02-20", "kenta.sato@example.jp"),
)


class _Dice:
    """Draws from the one method of `random` whose sequence Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random  # noqa: S311 made-up members are no secret

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def choice(self, items: tuple[_T, ...]) -> _T:
        """Return one of `items`."""
        return items[self.below(len(items))]


def _card_number(place: int, dice: _Dice) -> str:
    """Return a card number of its own for the member at `place`, with its check digit."""
    body = f"{_CARD_PREFIX}{place:04}{dice.below(10_000):04}"
    return next(body + digit for digit in "0123456789" if has_valid_check_digit(body + digit))


def demo_rows() -> Iterator[Row]:
    """Yield the members of the demo, each as the cells of a feed in the order of HEADER."""
    dice = _Dice(_SEED)
    days = (_BORN_TO - _BORN_FROM).days + 1
    numbers: set[str] = set()
    for place in range(MEMBERS):
        number = str(100_000_000 + dice.below(900_000_000))
        while number in numbers:
            number = str(100_000_000 + dice.below(900_000_000))
        numbers.add(number)
        family, given = dice.choice(_FAMILIES), dice.choice(_GIVEN)
        born = _BORN_FROM + timedelta(dice.below(days))
        domain = dice.choice(("example.jp", "example.com", "example.net"))
        phone = f"090-0{dice.below(1000):03}-{place:04}"
        card_number = _card_number(place, dice)
        pin = f"{dice.below(10_000):04}"
        # About one in ten has a card without a PIN yet; never one of the three shown.
        no_pin = dice.below(10) == 0
        if place < len(_SHOWN):
            name, kana, birth_date, email = _SHOWN[place]
        else:
            name, kana = f"{family[0]} {given[0]}", f"{family[1]} {given[1]}"
            birth_date = born.isoformat()
            email = f"{given[2]}.{family[2]}{place}@{domain}"
            pin = "" if no_pin else pin
        yield number, name, kana, birth_date, email, phone, card_number, pin


def main() -> None:
    """Write the feed to the standard output."""
    text = "".join(",".join(cells) + "\n" for cells in (HEADER.split(","), *demo_rows()))
    sys.stdout.buffer.write(text.encode())


if __name__ == "__main__":
    main()
