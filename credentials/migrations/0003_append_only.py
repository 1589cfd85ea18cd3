"""The database itself refuses to change or delete a line of the record, or a seal."""

from django.db import migrations

TABLES = {"credentials_event": ("id",), "credentials_seal": ("position", "event_id")}


def creating(vendor):
    """Return the statements that put the triggers up."""
    if vendor == "postgresql":
        yield """
            CREATE FUNCTION credentials_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = '23001';
            END $$
        """
        for table in TABLES:
            yield f"""
                CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION credentials_append_only()
            """
        return
    for table, keys in TABLES.items():
        refusal = f"SELECT RAISE(ABORT, '{table} is append-only');"
        for act in ("update", "delete"):
            yield f"CREATE TRIGGER {table}_no_{act} BEFORE {act} ON {table} BEGIN {refusal} END"
        # INSERT OR REPLACE deletes the row that is in its way, and fires no trigger on deletion.
        taken = " OR ".join(f"{key} = NEW.{key}" for key in keys)
        yield f"""
            CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
            WHEN EXISTS (SELECT 1 FROM {table} WHERE {taken}) BEGIN {refusal} END
        """


def dropping(vendor):
    """Return the statements that take them down."""
    for table in TABLES:
        if vendor == "postgresql":
            yield f"DROP TRIGGER {table}_append_only ON {table}"
        else:
            for act in ("update", "delete", "replace"):
                yield f"DROP TRIGGER {table}_no_{act}"
    if vendor == "postgresql":
        yield "DROP FUNCTION credentials_append_only()"


def create(apps, schema_editor):
    for statement in creating(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


def drop(apps, schema_editor):
    for statement in dropping(schema_editor.connection.vendor):
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("credentials", "0002_roles")]

    operations = [migrations.RunPython(create, drop)]
