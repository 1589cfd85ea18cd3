"""Whether the lock files pin all that pyproject.toml asks for, each by version and hash.

`python .ci/pinned.py [FOLDER]` prints what is wrong, a line each, and exits 1 where anything is.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z,]+\])?==(?P<version>[^\s;]+)( ?;[^\\]*?)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# Where to get it from is the machine's own business.
ADDRESS = re.compile(r"://|--(extra-)?index-url|--trusted-host|--find-links|^\s*-[ief]\b|\s@\s")


def plain(name: str) -> str:
    """Return the name of a package as every writing of it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(path: Path) -> list[str]:
    """Return the requirements of a lock file, each on one line, without comments."""
    text = re.sub(r"(^|\s)#.*", "", path.read_text(encoding="utf-8"))
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def pins(path: Path) -> dict[str, str]:
    """Return the version of each package that a lock file pins."""
    found = (PIN.match(line) for line in requirements(path))
    return {plain(pin["name"]): pin["version"] for pin in found if pin}


def wrong(root: Path) -> Iterator[str]:
    """Yield what is wrong with the lock files in `root`."""
    files = sorted((root / "requirements").glob("*.txt"))
    for path in files:
        for line in requirements(path):
            start, *hashes = line.split()
            if not PIN.fullmatch(start):
                yield f"{path.name}: not pinned with ==: {start}"
            elif not any(HASH.fullmatch(one) for one in hashes):
                yield f"{path.name}: no --hash: {start}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if ADDRESS.search(line):
                yield f"{path.name}: line {number} says where to get it from"
    production, development = (
        pins(root / "requirements" / f"{name}.txt") for name in ("production", "development")
    )
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        "production": (project["dependencies"], production),
        "development": (project["optional-dependencies"]["dev"], development),
    }
    for name, (wanted, pinned) in asked.items():
        for one in wanted:
            package = plain(re.match(r"[A-Za-z0-9._-]+", one)[0])  # type: ignore[index]
            if package not in pinned:
                yield f"{name}.txt: {package} is missing: make lock"
    for package, version in production.items():
        if development.get(package) != version:
            yield f"development.txt: {package} is not the {version} of production: make lock"


if __name__ == "__main__":
    found = list(wrong(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
    print("\n".join(found) or "lock files: pinned, hashed, whole")
    sys.exit(bool(found))
