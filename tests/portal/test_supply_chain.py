"""The checks of what is installed and of what stands in the repository: that they bite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from random import Random
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(script: str, *arguments: object, **environment: str) -> tuple[int, str]:
    """Run a check of CI; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


# --- Lock files -------------------------------------------------------------------------------

HASHED = f"--hash=sha256:{'0' * 64}"


@pytest.fixture
def lock_files(tmp_path: Path) -> Path:
    """A copy of what pins."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_lock_files_pin_everything(lock_files: Path) -> None:
    assert check("pinned.py", lock_files)[0] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("extra>=1 " + HASHED, "not pinned with ==: extra>=1"),
        ("extra " + HASHED, "not pinned with ==: extra"),
        ("extra==1", "no --hash: extra==1"),
        ("extra==1 --hash=md5:0", "no --hash: extra==1"),
        ("--index-url https://packages.example/simple", "says where to get it from"),
        ("extra @ https://packages.example/extra.whl", "says where to get it from"),
        ("-e ../extra", "says where to get it from"),
        (f"extra==1 {HASHED}", "extra is not the 1 of production"),
    ],
)
def test_a_loose_requirement_is_refused(lock_files: Path, line: str, said: str) -> None:
    with (lock_files / "requirements" / "production.txt").open("a") as requirements:
        requirements.write(f"{line}\n")
    code, output = check("pinned.py", lock_files)
    assert code == 1
    assert said in output


def test_a_dependency_that_is_not_pinned_is_refused(lock_files: Path) -> None:
    project = lock_files / "pyproject.toml"
    project.write_text(project.read_text().replace('"segno>=1.6",', '"segno>=1.6", "extra_one>1",'))
    code, output = check("pinned.py", lock_files)
    assert code == 1
    assert "production.txt: extra-one is missing" in output


# --- Licences ---------------------------------------------------------------------------------


def test_the_list_of_licences_is_whole_and_allowed() -> None:
    code, output = check("licences.py")
    assert code == 0, output
    page = (ROOT / "docs" / "licences.md").read_text()
    assert "://" not in page
    assert len(re.findall(r"^\| [a-z0-9-]+ \| [0-9]", page, re.M)) == len(
        re.findall(
            r"^[a-z0-9-]+(?:\[\S+\])?==", (ROOT / "requirements/production.txt").read_text(), re.M
        )
    )


@pytest.fixture
def of_another_project(tmp_path: Path) -> Path:
    """The check, on a copy of what it reads."""
    for name in (".ci", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "licences.md", tmp_path / "docs")
    return tmp_path


def test_a_stale_list_of_licences_is_refused(of_another_project: Path) -> None:
    page = of_another_project / "docs" / "licences.md"
    script = of_another_project / ".ci" / "licences.py"
    assert check(str(script))[0] == 0
    page.write_text(page.read_text().replace("| MIT |", "| ISC |", 1))
    code, output = check(str(script))
    assert code == 1
    assert "stale" in output
    assert check(str(script), "--write")[0] == 0
    assert page.read_text() == (ROOT / "docs" / "licences.md").read_text()


@pytest.mark.parametrize("licence", ["MIT", "BSD-3-Clause", "LGPL-3.0-only", "PSF-2.0"])
def test_a_licence_that_is_not_allowed_is_refused(of_another_project: Path, licence: str) -> None:
    script = of_another_project / ".ci" / "licences.py"
    text = script.read_text()
    assert f'"{licence}",' in text
    script.write_text(text.replace(f'    "{licence}",\n', ""))
    code, output = check(str(script))
    assert code == 1
    assert f"licence not allowed: {licence}" in output


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT AND BSD-3-Clause) OR GPL-3.0-only", True),
        ("MIT License; GNU General Public License (GPL)", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_choice_of_licences_is_read(licence: str, allowed: bool) -> None:
    program = f"from licences import is_allowed; print(is_allowed({licence!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / ".ci",
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(allowed)


# --- Secrets ----------------------------------------------------------------------------------


# Drawn as real ones are, and the same in every run.
DRAWN = Random(0).randbytes(64)
KEY, OTHER_KEY = b64encode(DRAWN[:32]).decode(), b64encode(DRAWN[32:]).decode()
SECRETS = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "cloud": "aws_access_key_id = AKIA" + "IOSFODNN7EXAMPL2",
    "forge": f"token = 'gh{'p_'}{DRAWN[:18].hex()}'",
    "PIN key": f"PIN_KEYS=v1:{KEY}",
    "PIN keys, quoted": f'"PIN_KEYS": "v2:{KEY},v1:{OTHER_KEY}"',
    "SECRET_KEY": f"SECRET_KEY={urlsafe_b64encode(DRAWN).decode()}",
    "hexadecimal": f"export API_KEY={DRAWN[:32].hex()}",
    "under no name": f"something = '{KEY}'",
    "password in an address": "DATABASE_URL=postgres://portal:" + "hunter2@db/portal",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found_and_never_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.py"
    path.write_text(f"# nothing\n{text}\n")
    code, output = check("no_secrets.py", path)
    assert code == 1, output
    assert f"{path}:2: " in output
    assert not any(part in output for part in re.findall(r"[A-Za-z0-9+/]{20,}", text))


def test_what_is_made_up_or_a_name_is_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "settings.py"
    example = (ROOT / ".env.example").read_text()
    path.write_text(
        example
        + dedent(
            f"""\
            SECRET_KEY="tests-only-{"k" * 50}"
            PIN_KEYS="v1:{b64encode(b"tests only, never in production!").decode()}"
            def test_bad_pin_keys_stop_the_start_and_are_not_quoted() -> None: ...
            """
        )
    )
    assert check("no_secrets.py", path) == (0, "secrets: none in 1 files\n")


def test_the_repository_holds_no_secret_and_no_env_file() -> None:
    code, output = check("no_secrets.py")
    assert code == 0, output
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT).returncode == 0
