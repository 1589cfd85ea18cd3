"""The licences of what production installs: docs/licences.md, and whether we may use it all.

`python .ci/licences.py` exits 1 where a licence is not one of ALLOWED, or the page is stale;
`python .ci/licences.py --write` writes the page (`make lock` does).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from pinned import pins, plain

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
# As the packages write them.
ALLOWED = {
    "Apache Software License",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT License",
    "MIT-0",
    "PSF-2.0",
    # Of a library that we import, unchanged and replaceable: nothing of it falls on our own code.
    "LGPL-3.0-only",
}
HEAD = """\
# Licences of what production installs
Made by `.ci/licences.py --write` (`make lock` does) from `requirements/production.txt` and what \
the packages themselves say; CI refuses a licence that is not among those allowed there.
LGPL-3.0 is that of the database driver: imported unchanged, replaceable, nothing of it in our code.

| package | version | licence |
|---|---|---|
"""


def installed() -> dict[str, dict[str, str]]:
    """Return what pip-licenses says of each package here, by its plain name."""
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {plain(one["Name"]): one for one in json.loads(done.stdout)}


def licences() -> list[tuple[str, str, str]]:
    """Return name, version and licence of every package that production pins."""
    here = installed()
    found = []
    for name, version in sorted(pins(ROOT / "requirements" / "production.txt").items()):
        one = here.get(name)
        if one is None or one["Version"] != version:
            raise SystemExit(f"{name} {version} is not installed here: make setup")
        found.append((name, version, one["License"]))
    return found


def is_allowed(licence: str) -> bool:
    """Whether we may use what is under this: one choice of `OR`, every part of `AND` and `;`."""
    return any(
        all(part.strip(" ()") in ALLOWED for part in re.split(r" AND |;", choice))
        for choice in licence.split(" OR ")
    )


def main() -> int:
    found = licences()
    refused = [one for one in found if not is_allowed(one[2])]
    for name, version, licence in refused:
        print(f"{name} {version}: licence not allowed: {licence}")
    page = HEAD + "".join(f"| {' | '.join(one)} |\n" for one in found)
    if "--write" in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        print("docs/licences.md is stale: python .ci/licences.py --write")
        return 1
    if not refused:
        print(f"licences: {len(found)} packages, all allowed")
    return bool(refused)


if __name__ == "__main__":
    sys.exit(main())
