"""A bare checkout with `.env.example` as `.env`: plain HTTP, whole pages, no page of Django's own.

However it is served: `manage.py demo`, `runserver`, gunicorn.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest

from tests.server.portal import ROOT
from tests.server.processes import answers, free_port, running

# Served once in each way, for all of these.
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("bare checkout")]

COMMANDS = {
    "demo": ["manage.py", "demo", "--port", "{port}"],
    "runserver": ["manage.py", "runserver", "--noreload", "127.0.0.1:{port}"],
    "gunicorn": ["-m", "gunicorn", "-c", "portal/gunicorn.py", "portal.wsgi"],
}
# A view that fails with something typed in its hands.
BROKEN = """

@login_not_required
def broken(request: HttpRequest) -> HttpResponse:
    held = request.POST.get("pin", "") + "canary-held"
    raise RuntimeError(f"{len(held)} characters")
"""
BROKEN_ADDRESS = """
from django.views.decorators.csrf import csrf_exempt

urlpatterns += [path("broken/", csrf_exempt(views.broken))]
"""
DJANGOS_OWN = re.compile(
    r"Traceback|RuntimeError|DEBUG|DJANGO_SETTINGS_MODULE|INSTALLED_APPS|urlconf|URLconf|"
    r"canary|PIN_KEYS|portal\.views|settings"
)


@dataclass(frozen=True)
class Served:
    """A portal that runs from a checkout."""

    checkout: Path
    url: str
    log: Path

    def ask(
        self, path: str, opener: OpenerDirector | None = None, **fields: str
    ) -> tuple[int, str, str]:
        """Return status, page and the address at the end of the redirects."""
        body = urlencode(fields).encode() if fields else None
        try:
            with (opener or build_opener()).open(self.url + path, body, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.url
        except HTTPError as error:
            with error:
                return error.code, error.read().decode(), str(error.url)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that nobody has served from, but for a database; with a view that fails."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("portal", "static"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("members", "credentials", "templates", "locale"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "manage.py", folder)
    shutil.copy(ROOT / ".env.example", folder / ".env")
    with (folder / "portal" / "views.py").open("a") as views:
        views.write(BROKEN)
    with (folder / "portal" / "urls.py").open("a") as urls:
        urls.write(BROKEN_ADDRESS)
    subprocess.run(
        [sys.executable, "manage.py", "demo", "--no-serve"],
        cwd=folder,
        env={"PATH": "/usr/bin"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


@pytest.fixture(scope="module", params=list(COMMANDS))
def served(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    """The portal, served in each of the ways."""
    port = free_port()
    command = [part.format(port=port) for part in COMMANDS[request.param]]
    log = checkout / f"{request.param}.log"
    with running(
        [sys.executable, *command],
        log=log,
        ready=lambda: answers(port),
        env={"PATH": "/usr/bin", "BIND": f"127.0.0.1:{port}", "PYTHONUNBUFFERED": "1"},
        cwd=checkout,
    ):
        yield Served(checkout, f"http://127.0.0.1:{port}", log)


def test_a_member_signs_in_over_plain_http(served: Served) -> None:
    visitor = build_opener(HTTPCookieProcessor(CookieJar()))
    status, page, at = served.ask("/", visitor)
    assert (status, at) == (200, f"{served.url}/login/?next=/")
    token, *_others = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    row = (ROOT / "members" / "demo_members.csv").read_text().splitlines()[1].split(",")
    typed = {"card_number": row[6], "pin": row[7], "csrfmiddlewaretoken": token}
    status, page, at = served.ask("/login/?next=/", visitor, **typed)
    assert (status, at) == (200, f"{served.url}/")
    assert 'id="member-number"' in page


def test_a_page_comes_with_its_files_fresh_after_an_edit(served: Served) -> None:
    _status, page, _at = served.ask("/login/")
    needed = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(needed) >= 3
    for path in needed:
        assert served.ask(path)[0] == 200
    with (served.checkout / "static" / "portal.css").open("a") as css:
        css.write(f"/* edited: {served.url} */\n")
    assert f"edited: {served.url}" in served.ask("/static/portal.css")[1]


def test_an_unknown_address_gives_our_own_page(served: Served) -> None:
    for path in ("/nothing/", "/static/nothing.css", "/admin/nothing/", "/login"):
        status, page, _at = served.ask(path)
        assert status == (200 if path in {"/login", "/admin/nothing/"} else 404), path
        assert not DJANGOS_OWN.search(page), DJANGOS_OWN.search(page)
    assert "<h1" in served.ask("/nothing/")[1]


def test_an_exception_gives_our_own_page_and_the_log_the_traceback(served: Served) -> None:
    status, page, _at = served.ask("/broken/", pin="canary-typed")
    assert status == 500
    assert not DJANGOS_OWN.search(page), DJANGOS_OWN.search(page)
    assert page == served.ask("/broken/")[1]
    log = served.log.read_text()
    logged = [
        json.loads(line)
        for line in log.splitlines()
        if '"/broken/"' in line or "RuntimeError" in line
    ]
    assert any("in broken" in one.get("exception", "") for one in logged)
    assert "canary-typed" not in log
