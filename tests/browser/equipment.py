"""What people come with: which device, which language, scripts or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
# The window's own pages, a fifth of all the work, and what Playwright switches off, whose list this
# one takes the place of.
_NOT_OF_THE_PAGE = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
]
# How Playwright starts it; Debian's Chromium needs no sandbox of its own for pages of ours.
LAUNCH = {
    "executable_path": str(CHROMIUM),
    "args": [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--disable-features={','.join(_NOT_OF_THE_PAGE)}",
    ],
}


@dataclass(frozen=True)
class Equipment:
    """What somebody comes with."""

    device: str
    language: str
    scripts: bool

    def __str__(self) -> str:
        return f"{self.device}-{self.language}-{'scripts' if self.scripts else 'no-scripts'}"

    @property
    def context(self) -> dict[str, Any]:
        """What Playwright needs to know of it."""
        phone = self.device == "phone"
        return {
            "viewport": {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
            "is_mobile": phone,
            "has_touch": phone,
            "locale": {"ja": "ja-JP", "en": "en-US"}[self.language],
            "timezone_id": "Asia/Tokyo",
            "java_script_enabled": self.scripts,
            # The certificate is signed by itself (tls_server.py).
            "ignore_https_errors": True,
        }


EVERY_EQUIPMENT = [
    Equipment(device, language, scripts)
    for scripts in (True, False)
    for device in ("phone", "desktop")
    for language in ("ja", "en")
]
# Half of them, in which every two properties still meet.
PAIRS = [
    Equipment("phone", "ja", True),
    Equipment("desktop", "en", True),
    Equipment("desktop", "ja", False),
    Equipment("phone", "en", False),
]
# For tests of what hangs on no three properties together.
in_pairs = pytest.mark.parametrize("equipment", PAIRS, ids=str)
# For tests of what only scripts do.
with_scripts = pytest.mark.parametrize(
    "equipment", [each for each in PAIRS if each.scripts], ids=str
)
