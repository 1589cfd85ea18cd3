"""Whether a secret stands in the repository: private keys, tokens of services, keys of our own.

`python .ci/no_secrets.py [FILE …]` (default: all that git tracks) prints file, line and kind,
never the secret, and exits 1 where it finds one. A made-up key passes by what it says: in base64
it is words, or it contains "example-only" or "tests-only".
"""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterator
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

# Tokens that services issue and that say so by their shape; and dense text between quotes.
PLUGINS = [
    *(
        {"name": name}
        for name in (
            "AWSKeyDetector",
            "AzureStorageKeyDetector",
            "BasicAuthDetector",
            "GitHubTokenDetector",
            "GitLabTokenDetector",
            "JwtTokenDetector",
            "NpmDetector",
            "PrivateKeyDetector",
            "PypiTokenDetector",
            "SendGridDetector",
            "SlackDetector",
            "StripeDetector",
            "TwilioKeyDetector",
        )
    ),
    {"name": "Base64HighEntropyString", "limit": 4.5},
]
# What we name such things, and what could be one: as random as keys are.
NAMED = re.compile(r"secret|key|token|passw|credential", re.IGNORECASE)
DENSE = re.compile(r"[A-Za-z0-9+/_-]{32,}={0,2}")
MADE_UP = re.compile(r"example-only|tests-only")


def is_random(text: str) -> bool:
    """Whether this looks drawn, not written: capitals, small letters and digits; or hexadecimal."""
    kinds = all(re.search(kind, text) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    return kinds or bool(re.fullmatch(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]+", text))


def is_made_up(text: str) -> bool:
    """Whether this says of itself that it is no secret."""
    try:
        words = b64decode(text, validate=True).decode("ascii").isprintable()
    except (BadBase64, ValueError):
        words = False
    return words or bool(MADE_UP.search(text))


def keys_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and kind of what could be a key of our own."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if NAMED.search(line):
            dense = [text for text in DENSE.findall(line) if is_random(text)]
            if any(not is_made_up(text) for text in dense):
                yield number, "a random text under such a name"


def tokens_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and kind of what detect-secrets finds."""
    secrets = SecretsCollection()
    secrets.scan_file(str(path))
    for _file, secret in secrets:
        if not is_made_up(secret.secret_value or ""):
            yield secret.line_number, secret.type


def tracked() -> list[Path]:
    """Return the files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True)
    return [Path(name) for name in listed.stdout.split("\0") if name]


def main(files: list[Path]) -> int:
    found = []
    with transient_settings({"plugins_used": PLUGINS}):
        for path in files:
            # Pictures and compiled translations hold no lines.
            if path.is_file() and path.suffix not in {".png", ".mo"}:
                places = {*keys_in(path), *tokens_in(path)}
                found += [f"{path}:{line}: {kind}" for line, kind in sorted(places)]
            if path.name == ".env":
                found.append(f"{path}: an .env does not belong in the repository")
    print("\n".join(found) or f"secrets: none in {len(files)} files")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or tracked()))
