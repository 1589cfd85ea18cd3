"""Migrations taken back to nothing and run again leave the same database, on both kinds."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.server.databases import POSTGRESQL, Database, PostgreSQL
from tests.server.portal import environment, import_people, manage

pytestmark = pytest.mark.server


def schema(database: Database) -> list[str]:
    """Return all that is declared in the database, in an order of its own."""
    if isinstance(database, PostgreSQL):
        dump = subprocess.run(
            [
                POSTGRESQL / "pg_dump",
                "--schema-only",
                database.url.replace("postgres:", "postgresql:"),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        # Each dump has a random mark of its own against what tries to break out of psql.
        statements = re.sub(r"^(--|\\(un)?restrict ).*$", "", dump, flags=re.M).split(";\n")
        return sorted(one.strip() for one in statements)
    rows = database.rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    return sorted(sql for (sql,) in rows)


def test_migrations_go_back_to_nothing_and_forward_again(
    migrated: Database, tmp_path: Path
) -> None:
    database = migrated.copy()
    env = environment(database, tmp_path, HASHING_MEMORY_KIB="8")
    import_people(env, tmp_path, 3)
    before = schema(database)
    roles = database.rows("SELECT name FROM auth_group ORDER BY name")
    assert len(roles) > 3

    manage(env, "migrate", "members", "zero", "--verbosity", "0")
    left = "\n".join(schema(database))
    assert "django_migrations" in left
    for table in ("members_", "credentials_"):
        assert table not in left
    assert database.rows("SELECT name FROM auth_group") == []

    manage(env, "migrate", "--verbosity", "0")
    assert schema(database) == before
    assert database.rows("SELECT name FROM auth_group ORDER BY name") == roles
    assert len(import_people(env, tmp_path, 3)) == 3
