"""Somebody in front of a browser, who reads every page with a critical eye."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from axe_playwright_python.sync_playwright import Axe
from django.utils import translation
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.browser.equipment import Equipment

# What a page may weigh with everything it loads, not compressed.
PAGE_BYTES = 60_000
# Loading style sheets a second time for axe would break the content security policy.
_AXE_OPTIONS = {"resultTypes": ["violations"], "preload": False}
# Faults of Django's own admin, by rule and by what it marks: nothing of ours is in them.
_FAULTS_OF_THE_ADMIN = {
    # The search field's label is a picture whose text axe does not count as visible.
    "label-title-only": {"#searchbar"},
    # The picture beside the two filters of the roles bears a name that nobody may hear.
    "aria-prohibited-attr": {
        f'label[for="id_groups_{side}"] > .help-tooltip.search-label-icon'
        for side in ("input", "selected_input")
    },
}


@dataclass
class Judged:
    """What was found good before, so that no page is judged twice."""

    pages: set[tuple[str, str]] = field(default_factory=set)
    bytes_of: dict[str, int] = field(default_factory=dict)


class Visitor:
    """One browser, with its own cookies. Labels and texts are given as msgids, in English."""

    def __init__(
        self,
        context: BrowserContext,
        base: str,
        equipment: Equipment,
        judged: Judged,
        *,
        is_staff: bool = False,
    ) -> None:
        self.base = base
        self.language = equipment.language
        self.scripts = equipment.scripts
        self.complaints: list[str] = []
        self._equipment = equipment
        self._judged = judged
        self._is_staff = is_staff
        self._refused_pages: set[str] = set()
        self.context = context
        self.context.set_default_timeout(10_000)
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._watch)
        self.page.on(
            "response",
            lambda answer: self._refused_pages.add(answer.url) if answer.status >= 400 else None,
        )

    def _hear(self, message: ConsoleMessage) -> None:
        # Chromium says so of every page that comes with 403, 404 and the like.
        if "Failed to load resource" in message.text and self.page.url in self._refused_pages:
            return
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console at {self.page.url}: {message.text}")

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((f"{self.base}/", "data:")):
            self.complaints.append(f"asked elsewhere: {request.url}")

    # --- What they do ----------------------------------------------------------------------

    def say(self, msgid: str, **values: object) -> str:
        """Return the text in the language of this visitor."""
        with translation.override(self.language):
            text = translation.gettext(msgid)
        assert self.language == "en" or text != msgid or msgid == "Web-ID", msgid
        return text % values if values else text

    def open(self, path: str) -> None:
        """Go to an address of the portal, and look at what comes."""
        self.page.goto(self.base + path, wait_until="load")
        self.look()

    def fill(self, label: str, value: str) -> None:
        """Type into the field with this label."""
        self.field(label).fill(value)

    def press(self, name: str) -> None:
        """Press the button that leads to another page, and look at what comes."""
        with self.page.expect_navigation(wait_until="load"):
            self.button(name).click()
        self.look()

    def follow(self, name: str) -> None:
        """Follow the first link with this text, and look at what comes."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.get_by_role("link", name=self.say(name), exact=True).first.click()
        self.look()

    # --- What they see ---------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The address they are at."""
        return self.page.url.removeprefix(self.base)

    def field(self, label: str) -> Locator:
        """Return the field with this label."""
        return self.page.get_by_label(self.say(label), exact=True)

    def button(self, name: str) -> Locator:
        """Return the button with this text."""
        return self.page.get_by_role("button", name=self.say(name), exact=True)

    def is_at(self, path: str, heading: str = "", **values: object) -> None:
        """Assert where they are, and what the page calls itself."""
        assert self.path == path
        if heading:
            expect(self.page.locator("h1")).to_contain_text(self.say(heading, **values))

    def reads(self, text: str, **values: object) -> None:
        """Assert that a text stands on the page."""
        assert self.say(text, **values) in self.text()

    def text(self) -> str:
        """Return what stands on the page, in one line."""
        return re.sub(r"\s+", " ", self.page.locator("body").inner_text())

    def is_told(self, *errors: str, **values: object) -> None:
        """Assert that the refusal is this, said at the top, and is where they are taken to."""
        summary = self.page.locator(".error-summary")
        expect(summary.locator("li")).to_have_text([self.say(e, **values) for e in errors])
        assert self.say("Error:") in self.page.title()
        if self.scripts:
            expect(summary).to_be_focused()

    def look(self) -> None:
        """Judge the page as it stands: width, weight, language, accessibility."""
        page = self.page
        assert page.locator("html").get_attribute("lang") == self.language
        assert page.title()
        assert page.locator("h1").count() == 1
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(too_wide) == 0, f"{page.url} scrolls sideways"
        if not self._is_staff:
            assert self.weight() < PAGE_BYTES, f"{page.url} weighs {self.weight()} bytes"
        if self.scripts:
            self._ask_axe()

    def weight(self) -> int:
        """Return the bytes of this page and of all it loads, not compressed."""
        names = "performance.getEntriesByType('resource').map(entry => entry.name)"
        bytes_of = self._judged.bytes_of
        total = len(self.page.content().encode())
        for name in set(self.page.evaluate(names)):
            if name not in bytes_of:
                bytes_of[name] = len(self.context.request.get(name).body())
            total += bytes_of[name]
        return total

    def _ask_axe(self) -> None:
        # The same page with other digits and tokens in it is the same page.
        shape = re.sub(r'value="[^"]*"|\d+', "", self.page.content())
        if (str(self._equipment), shape) in self._judged.pages:
            return
        found = Axe().run(self.page, options=_AXE_OPTIONS).response["violations"]
        faults = [
            f"{violation['id']} at {' '.join(node['target'])}: {violation['help']}"
            for violation in found
            for node in violation["nodes"]
            if not self._is_of_the_admin(violation["id"], node["target"])
        ]
        assert not faults, f"{self.page.url}: {json.dumps(faults, ensure_ascii=False, indent=1)}"
        self._judged.pages.add((str(self._equipment), shape))

    def _is_of_the_admin(self, rule: str, target: list[str]) -> bool:
        return self._is_staff and set(target) <= _FAULTS_OF_THE_ADMIN.get(rule, set())
