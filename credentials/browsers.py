"""Which device a sign-in came from, in words: "Chrome, Android" from what a browser says it is.

A browser may say what it likes, so only names that are known here are ever shown: nothing of its
own text reaches a page, and nobody can write to a member this way.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

# Longer ones are cut before they are read; no browser's own is.
_LONGEST = 512
# By the library's name of it, without what says that it is the one for phones.
_BROWSERS = {
    "Chrome": "Chrome",
    "Chromium": "Chromium",
    "HeadlessChrome": "Chrome",
    "Safari": "Safari",
    "Edge": "Edge",
    "Firefox": "Firefox",
    "IE": "Internet Explorer",
    "LINE": "LINE",
    "Opera": "Opera",
    "Samsung Internet": "Samsung Internet",
    "Vivaldi": "Vivaldi",
    "Yahoo! Japan": "Yahoo! JAPAN",
}
_SYSTEMS = {
    "Android": "Android",
    "Chrome OS": "ChromeOS",
    "Fedora": "Linux",
    "iOS": "iOS",
    "Linux": "Linux",
    "Mac OS X": "macOS",
    "Ubuntu": "Linux",
    "Windows": "Windows",
}
_KINDS = frozenset({"Mobile", "iOS", "UI/WKWebView", "WebView"})


def in_words(user_agent: object) -> str:
    """Return browser and system in words, as far as `user_agent` (what was recorded) tells."""
    if not isinstance(user_agent, str) or not user_agent.strip():
        return _("Unknown device")
    # Here, because it takes a process 8 MB and a tenth of a second, and most never need it.
    from ua_parser import parse_os, parse_user_agent

    said = user_agent[:_LONGEST]
    browser, system = parse_user_agent(said), parse_os(said)
    known = (
        _BROWSERS.get(_without_kind(browser.family)) if browser else None,
        _SYSTEMS.get(system.family) if system else None,
    )
    return ", ".join(name for name in known if name) or _("Unknown device")


def _without_kind(family: str) -> str:
    """Return "Safari" for "Mobile Safari UI/WKWebView"."""
    return " ".join(word for word in family.split() if word not in _KINDS)
