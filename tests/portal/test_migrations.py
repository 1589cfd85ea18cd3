"""Migrations run while the portal serves: none locks a large table, each can be taken back.

Judged by what is known to be quick on PostgreSQL, not by what is known to be slow: an operation
that nobody has thought about here is refused. A first migration meets no rows, and may do all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres import operations as postgresql
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now

OURS = ("members", "credentials")
# What touches no row, or all of them without keeping anybody else from theirs.
QUICK = (
    migrations.CreateModel,
    migrations.AlterModelOptions,
    migrations.AlterModelManagers,
    postgresql.AddIndexConcurrently,
    postgresql.RemoveIndexConcurrently,
    postgresql.AddConstraintNotValid,
    postgresql.ValidateConstraint,
)
# Names and texts that the database does not know.
OF_DJANGO_ALONE = {"verbose_name", "help_text", "choices", "validators", "editable", "blank"}


def slow(migration: migrations.Migration, state: Any) -> Iterator[str]:
    """Yield why this migration must not run beside the portal; `state` is the one before it."""
    state = state.clone()
    made_here = set()
    for operation in migration.operations:
        if isinstance(operation, migrations.CreateModel):
            made_here.add(operation.name.lower())
        of_new_table = getattr(operation, "model_name", "").lower() in made_here
        what = f"{migration.app_label} {migration.name}: {operation.describe()}"
        if not operation.reversible:
            yield f"{what}: has no way back"
        if not of_new_table and (reason := _holds_up(operation, state, migration)):
            yield f"{what}: {reason}"
        operation.state_forwards(migration.app_label, state)


def _holds_up(operation: Any, state: Any, migration: migrations.Migration) -> str:
    """Return how this operation holds others up; empty where it does not."""
    if isinstance(operation, QUICK):
        return ""
    match operation:
        case migrations.AddField(field=field):
            return _of_column(field)
        case migrations.AlterField(model_name=model, name=name, field=field):
            before = state.models[migration.app_label, model.lower()].fields[name]
            same = _in_the_database(before) == _in_the_database(field)
            return "" if same else "may rewrite the table: add a new column, fill it, switch over"
        case migrations.RemoveField() | migrations.DeleteModel():
            return "the processes that still run read it: remove it with SQL, a release later"
        case migrations.RenameField() | migrations.RenameModel() | migrations.AlterModelTable():
            return "the processes that still run know the old name"
        case migrations.AddIndex() | migrations.RemoveIndex():
            return "writing waits while it is made: make it CONCURRENTLY"
        case migrations.AddConstraint():
            return "everybody waits while all rows are read: NOT VALID first, then VALIDATE"
        case migrations.RunSQL(sql=sql):
            return _of_sql(str(sql))
        case migrations.RunPython():
            return ""
        case migrations.SeparateDatabaseAndState(database_operations=inner):
            return next(filter(None, (_holds_up(one, state, migration) for one in inner)), "")
    return "nobody has thought about this one here"


def _of_column(field: Any) -> str:
    if isinstance(field, models.GeneratedField):
        return "rewrites the table"
    if field.unique or field.db_index:
        return "writing waits while its index is made: add it without, index CONCURRENTLY"
    if not field.null and not field.many_to_many and not field.has_db_default():
        return "NOT NULL with no default in the database: the processes that still run fail"
    return ""


def _in_the_database(field: Any) -> Any:
    """Return all of a field's declaration that reaches the database."""
    _name, path, positional, named = field.deconstruct()
    kept = {key: value for key, value in named.items() if key not in OF_DJANGO_ALONE}
    return path, positional, kept


def _of_sql(sql: str) -> str:
    words = " ".join(sql.upper().split())
    if "INDEX" in words and "CONCURRENTLY" not in words:
        return "writing waits while it is made: make it CONCURRENTLY"
    if "ADD CONSTRAINT" in words and "NOT VALID" not in words:
        return "everybody waits while all rows are read: NOT VALID first, then VALIDATE"
    if any(part in words for part in (" TYPE ", "SET NOT NULL", "LOCK TABLE", "VACUUM FULL")):
        return "may rewrite or lock the table"
    return ""


def all_of_ours() -> Iterator[tuple[migrations.Migration, Any]]:
    """Yield each migration of ours, with the state before it."""
    loader = MigrationLoader(None)
    for key in loader.graph.leaf_nodes():
        for node in loader.graph.forwards_plan(key):
            if node[0] in OURS:
                yield loader.graph.nodes[node], loader.project_state(node, at_end=False)


def is_first(migration: migrations.Migration) -> bool:
    """Whether the app has no tables before it."""
    return all(app != migration.app_label for app, _name in migration.dependencies)


def test_our_migrations_hold_nobody_up() -> None:
    found = list(all_of_ours())
    assert len(found) > 2
    assert [
        reason
        for migration, state in found
        if not is_first(migration)
        for reason in slow(migration, state)
    ] == []


def test_every_migration_of_ours_has_a_way_back() -> None:
    one_way = [
        f"{migration}: {operation.describe()}"
        for migration, _state in all_of_ours()
        for operation in migration.operations
        if not operation.reversible
    ]
    assert one_way == []


# --- That it bites ----------------------------------------------------------------------------


def judged(*operations: Any) -> list[str]:
    """Return what is said of a migration after all of ours, in members."""
    loader = MigrationLoader(None)
    migration = migrations.Migration("9999_next", "members")
    migration.operations = list(operations)
    return list(slow(migration, loader.project_state()))


def nothing(apps: Any, schema_editor: Any) -> None:
    """Do nothing."""


PHONE = models.CharField("telephone", max_length=20, blank=True, help_text="with country")
INDEX = models.Index(fields=["name"], name="member_name")
POSITIVE = models.CheckConstraint(condition=models.Q(balance__gte=0), name="positive")


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("member", "nick", models.TextField()),
        migrations.AddField("member", "nick", models.TextField(default="")),
        migrations.AddField("member", "nick", models.TextField(null=True, unique=True)),
        migrations.AddField("member", "nick", models.TextField(null=True, db_index=True)),
        migrations.AddField(
            "member", "branch", models.ForeignKey("members.Card", models.PROTECT, null=True)
        ),
        migrations.AddField(
            "member",
            "twice",
            models.GeneratedField(
                expression=models.F("balance") * 2,
                output_field=models.IntegerField(),
                db_persist=True,
            ),
        ),
        migrations.AlterField("member", "phone", models.CharField(max_length=30, blank=True)),
        migrations.AlterField("member", "balance", models.TextField(null=True)),
        migrations.RemoveField("member", "phone"),
        migrations.DeleteModel("WebID"),
        migrations.RenameField("member", "phone", "telephone"),
        migrations.RenameModel("Card", "Plastic"),
        migrations.AlterModelTable("member", "people"),
        migrations.AddIndex("member", INDEX),
        migrations.RemoveIndex("member", "member_phone"),
        migrations.AddConstraint("member", POSITIVE),
        migrations.AlterUniqueTogether("member", {("name", "phone")}),
        migrations.RunPython(nothing),
        migrations.RunSQL("UPDATE members_member SET phone = ''"),
        migrations.RunSQL("CREATE INDEX i ON members_member (name)", "DROP INDEX CONCURRENTLY i"),
        migrations.RunSQL("ALTER TABLE members_member ALTER name SET NOT NULL", ""),
        migrations.RunSQL("ALTER TABLE members_card ADD CONSTRAINT c CHECK (id > 0)", ""),
        migrations.SeparateDatabaseAndState([migrations.AddIndex("member", INDEX)], []),
    ],
    ids=lambda operation: operation.describe(),
)
def test_a_migration_that_holds_others_up_is_refused(operation: Any) -> None:
    assert judged(operation)


@pytest.mark.parametrize(
    "operations",
    [
        [migrations.AddField("member", "nick", models.TextField(null=True))],
        [migrations.AddField("member", "nick", models.TextField(db_default=""))],
        [migrations.AddField("member", "seen", models.DateTimeField(db_default=Now()))],
        [migrations.AlterField("member", "phone", PHONE)],
        [migrations.AlterModelOptions("member", {"verbose_name": "person"})],
        [postgresql.AddIndexConcurrently("member", INDEX)],
        [postgresql.AddConstraintNotValid("member", POSITIVE)],
        [migrations.RunPython(nothing, nothing)],
        [
            migrations.CreateModel("Branch", [("id", models.BigAutoField(primary_key=True))]),
            migrations.AddField("branch", "name", models.TextField(unique=True)),
            migrations.AddIndex("branch", models.Index(fields=["name"], name="branch_name")),
        ],
        [
            migrations.RunSQL(
                "CREATE INDEX CONCURRENTLY i ON members_member (name)",
                "DROP INDEX CONCURRENTLY i",
            )
        ],
    ],
    ids=lambda operations: operations[-1].describe(),
)
def test_a_migration_that_holds_nobody_up_passes(operations: list[Any]) -> None:
    assert judged(*operations) == []
