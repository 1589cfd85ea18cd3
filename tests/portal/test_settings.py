"""Settings: what production needs has no default, and a missing one is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "dGVzdHMgb25seSwgbmV2ZXIgaW4gcHJvZHVjdGlvbiE="
WHOLE = {
    "SECRET_KEY": "tests-only-" + "k" * 50,
    "PIN_KEYS": f"v1:{KEY}",
    "ALLOWED_HOSTS": "portal.example",
    "DATABASE_URL": "sqlite:///var/portal.sqlite3",
    "CACHE_URL": "filecache://var/cache",
    "EMAIL_URL": "smtp://127.0.0.1:25",
    "DEFAULT_FROM_EMAIL": "member-service@portal.example",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with no `.env` of anybody's in it."""
    shutil.copytree(ROOT / "portal", tmp_path / "portal")
    shutil.copy(ROOT / "manage.py", tmp_path)
    for name in ("members", "credentials", "templates", "static", "locale"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


READ_THE_SETTINGS = ("-c", "import portal.settings")


def start(checkout: Path, environment: dict[str, str], *command: str) -> tuple[int, str]:
    """Start Python on the settings, or manage.py with a command; return exit code and output."""
    base = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *(("manage.py", *command) if command else READ_THE_SETTINGS)],
        cwd=checkout,
        env=base | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def shown(checkout: Path, environment: dict[str, str], name: str) -> str:
    program = f"from django.conf import settings; print('value', repr(settings.{name}))"
    code, said = start(checkout, environment, "shell", "--no-imports", "-v0", "-c", program)
    assert code == 0, said
    return said.split("value ")[1].strip()


def test_portal_starts_with_everything_it_needs(checkout: Path) -> None:
    code, said = start(checkout, WHOLE, "check", "--deploy", "--fail-level", "WARNING")
    assert code == 0, said


def test_cheap_hashes_are_refused_for_production(checkout: Path) -> None:
    cheap = WHOLE | {"HASHING_MEMORY_KIB": "19455"}
    code, said = start(checkout, cheap, "check", "--deploy")
    assert code != 0
    assert "portal.E001" in said
    assert "HASHING_MEMORY_KIB" in said
    code, said = start(checkout, cheap, "check")
    assert code == 0, said


def served(checkout: Path, environment: dict[str, str]) -> list[dict[str, str]]:
    """Return what is logged as an error when the portal starts to serve."""
    environment = environment | {"DJANGO_SETTINGS_MODULE": "portal.settings"}
    code, said = start(checkout, environment, "shell", "-v0", "-c", "import portal.wsgi")
    assert code == 0, said
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "error"]


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"DEBUG": "off"}, ["SECRET_KEY", "PIN_KEYS"]),
        ({"DEBUG": "off", "SECRET_KEY": WHOLE["SECRET_KEY"]}, ["PIN_KEYS"]),
        ({"DEBUG": "off", "SECRET_KEY": WHOLE["SECRET_KEY"], "PIN_KEYS": f"v2:{KEY}"}, []),
        ({}, []),
    ],
    ids=["both", "one", "own keys", "debug"],
)
def test_published_keys_are_named_at_the_start_and_not_quoted(
    checkout: Path, own: dict[str, str], named: list[str]
) -> None:
    shutil.copy(ROOT / ".env.example", checkout / ".env")
    errors = served(checkout, own)
    assert [line["event"].split()[0] for line in errors] == named
    assert "0123456789" not in str(errors)
    assert "ZXhhbXBsZSBvbmx5" not in str(errors)


def test_a_published_key_is_told_among_others(checkout: Path) -> None:
    [published] = re.findall(r"^PIN_KEYS=(\S+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    [line] = served(checkout, WHOLE | {"PIN_KEYS": f"v2:{KEY},{published}"})
    assert line["event"].startswith("PIN_KEYS ")


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_missing_variable_stops_the_start_with_its_name(checkout: Path, name: str) -> None:
    code, said = start(checkout, {key: WHOLE[key] for key in WHOLE if key != name})
    assert code != 0
    assert name in said.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "keys",
    ["", "v1", "v1:", f":{KEY}", "v1:short", f"v1:{KEY[:-4]}", f"v1:{KEY},v1:{KEY}", "v1:!!!!"],
)
def test_bad_pin_keys_stop_the_start_and_are_not_quoted(checkout: Path, keys: str) -> None:
    code, said = start(checkout, WHOLE | {"PIN_KEYS": keys})
    assert code != 0
    last = said.strip().splitlines()[-1]
    assert "PIN_KEYS" in last
    assert KEY[:8] not in said


@pytest.mark.parametrize(
    "name", ["LOGIN_FAILURE_LIMIT", "SUSPENSION_SECONDS", "CODE_SECONDS", "TICKET_SECONDS"]
)
@pytest.mark.parametrize("value", ["0", "-1", "five"])
def test_policy_that_would_switch_a_rule_off_stops_the_start(
    checkout: Path, name: str, value: str
) -> None:
    code, said = start(checkout, WHOLE | {name: value})
    assert code != 0
    if value != "five":
        assert name in said.strip().splitlines()[-1]


def test_env_file_is_read_and_the_environment_wins(checkout: Path) -> None:
    lines = [f"{key}={value}" for key, value in WHOLE.items()]
    (checkout / ".env").write_text("\n".join([*lines, "LOGIN_FAILURE_LIMIT=7", ""]))
    assert shown(checkout, {}, "LOGIN_FAILURE_LIMIT") == "7"
    assert shown(checkout, {"LOGIN_FAILURE_LIMIT": "3"}, "LOGIN_FAILURE_LIMIT") == "3"


def test_example_is_a_working_set_up_for_one_machine(checkout: Path) -> None:
    shutil.copy(ROOT / ".env.example", checkout / ".env")
    code, said = start(checkout, {}, "check")
    assert code == 0, said
    assert shown(checkout, {}, "PLAIN_HTTP") == "True"


def test_plain_http_is_off_unless_switched_on(checkout: Path) -> None:
    assert shown(checkout, WHOLE, "PLAIN_HTTP") == "False"


@pytest.mark.parametrize("value", ["on", "True", "1", "yes"])
def test_no_variable_switches_djangos_debug_on(checkout: Path, value: str) -> None:
    assert shown(checkout, WHOLE | {"DEBUG": value}, "PLAIN_HTTP") == "True"
    assert shown(checkout, WHOLE | {"DEBUG": value}, "DEBUG") == "False"


def test_policies_have_the_defaults_that_are_written_down(checkout: Path) -> None:
    names = {
        "LOGIN_FAILURE_LIMIT": 5,
        "SUSPENSION_SECONDS": 86400,
        "SUSPENSIONS_UNTIL_IN_PERSON": 3,
        "SOURCE_ACCOUNT_LIMIT": "10/hour",
        "SOURCE_FAILURE_LIMIT": "30/hour",
        "CODE_SECONDS": 600,
        "CODE_ATTEMPTS": 5,
        "TICKET_SECONDS": 900,
        "SESSION_IDLE_SECONDS": 900,
        "SESSION_ABSOLUTE_SECONDS": 43200,
        "HASHING_MEMORY_KIB": 19456,
        "TRUSTED_PROXIES": 0,
    }
    program = (
        "from django.conf import settings\n"
        f"print('v', {{name: getattr(settings, name) for name in {sorted(names)}}})"
    )
    code, said = start(checkout, WHOLE, "shell", "--no-imports", "-v0", "-c", program)
    assert code == 0, said
    assert eval(said.split("v ", 1)[1]) == names  # noqa: S307 our own output
