"""Devices in words: what a browser says of itself never reaches a page, only what we know it by."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.utils import translation

from credentials import browsers

_ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"{_ANDROID} Chrome/124.0.0.0 Mobile Safari/537.36", "Chrome, Android"),
        (f"{_ANDROID} SamsungBrowser/24.0 Chrome/117.0.0.0 Mobile", "Samsung Internet, Android"),
        (f"{_ANDROID} Chrome/124.0.0.0 Mobile Safari/537.36 EdgA/124.0.0.0", "Edge, Android"),
        (f"{_IPHONE} (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1", "Safari, iOS"),
        (
            f"{_IPHONE} (KHTML, like Gecko) CriOS/124.0.6367.71 Mobile/15E148 Safari/604.1",
            "Chrome, iOS",
        ),
        (f"{_IPHONE} (KHTML, like Gecko) FxiOS/125.0 Mobile/15E148", "Firefox, iOS"),
        (f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 Safari Line/14.5.0", "LINE, iOS"),
        (f"{_IPHONE} (KHTML, like Gecko) Mobile/15E148 YJApp-IOS", "Safari, iOS"),
        (f"{_WINDOWS} Chrome/124.0.0.0 Safari/537.36", "Chrome, Windows"),
        (f"{_WINDOWS} Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Firefox/125.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.4 Safari/605.1",
            "Safari, macOS",
        ),
    ],
)
def test_browser_and_system_in_words(user_agent: str, words: str) -> None:
    assert browsers.in_words(user_agent) == words


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "  ",
        0,
        ["Chrome"],
        {"browser": "Chrome"},
        "curl/8.0",
        "<script>alert(1)</script>/1.0",
        "CallThisNumber0120/1.0 (Windows-of-ours 1.0)",
        "\x00\ud800",
        "x" * 100_000,
    ],
    ids=lambda said: ascii(said)[:30],
)
@pytest.mark.parametrize("language", ["ja", "en"])
def test_whatever_else_is_said_is_an_unknown_device(said: object, language: str) -> None:
    with translation.override(language):
        unknown = {"ja": "不明な端末", "en": "Unknown device"}[language]
        words = browsers.in_words(said)
    assert words in {unknown, "Windows"}, "a name that we do not know was shown"


def test_reader_of_what_browsers_say_is_loaded_only_when_it_is_asked() -> None:
    script = (
        "import django, sys; django.setup(); import portal.urls; from credentials import browsers;"
        "assert 'ua_parser' not in sys.modules; browsers.in_words('Mozilla/5.0');"
        "assert 'ua_parser' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
