"""Makes the pictures of the README: `python -m tests.browser.screenshots`.

On a database of its own, with the demo's members: docs/images/{sign-in,top-page,help}-{phone,
desktop}.png, in Japanese.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from tests.browser.equipment import CHROMIUM, LAUNCH, Equipment

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
# README shows them small: more than this only makes the files larger.
PIXELS_PER_PIXEL = {"phone": 1.4, "desktop": 1}
BYTES_AT_MOST = 120_000


def _sign_in_page(page: Page) -> None:
    page.goto("/login/")


def _top_page(page: Page) -> None:
    from members.demo_feed import demo_rows

    number, *_rest, card_number, pin = next(iter(demo_rows()))
    page.goto("/login/")
    page.locator("[name=card_number]").fill(card_number)
    page.locator("[name=pin]").fill(pin)
    page.locator("form.form button.button").click()
    page.locator("#member-number").get_by_text(number[:3]).wait_for()


def _help_page(page: Page) -> None:
    page.goto("/help/#number")
    page.evaluate("scrollTo(0, 0)")


PAGES: dict[str, Callable[[Page], None]] = {
    "sign-in": _sign_in_page,
    "top-page": _top_page,
    "help": _help_page,
}


def _missing() -> str:
    if not CHROMIUM.exists():
        return f"{CHROMIUM} is missing: apt-get install chromium"
    fonts = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, check=False).stdout
    return "" if fonts else "A Japanese font is missing: apt-get install fonts-noto-cjk"


def take(base: str) -> None:
    """Take every picture of the portal at `base`."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        for device, scale in PIXELS_PER_PIXEL.items():
            for name, arrange in PAGES.items():
                context = browser.new_context(
                    **Equipment(device, "ja", scripts=True).context,
                    base_url=base,
                    device_scale_factor=scale,
                    reduced_motion="reduce",
                )
                page = context.new_page()
                arrange(page)
                picture = IMAGES / f"{name}-{device}.png"
                page.screenshot(path=picture, animations="disabled")
                context.close()
                size = picture.stat().st_size
                print(f"{picture.name}: {size / 1000:.0f} kB")
                if size > BYTES_AT_MOST:
                    sys.exit(f"{picture} is larger than {BYTES_AT_MOST} bytes")
        browser.close()


def main() -> None:
    """Set the portal up in a folder that goes away, and take the pictures."""
    if missing := _missing():
        sys.exit(missing)
    with TemporaryDirectory(prefix="portal-pictures-") as folder:
        os.environ["TEST_DATABASE_URL"] = f"sqlite:///{folder}/portal.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
        import django

        django.setup()
        from django.core.management import call_command

        import members
        from tests.browser.tls_server import serving

        call_command("migrate", verbosity=0)
        feed = Path(members.__file__).with_name("demo_members.csv")
        call_command("import_members", str(feed), verbosity=0)
        with serving() as base:
            take(base)


if __name__ == "__main__":
    main()
