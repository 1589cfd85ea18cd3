"""The roles of staff, as groups with the least permissions that their work takes."""

from django.db import migrations

ROLES = {
    "Call centre": [
        ("members", "member", "view_member"),
        ("members", "member", "verify_on_phone"),
        ("members", "member", "tell_member_number"),
        ("members", "member", "suspend_member"),
        ("members", "member", "reinstate_member"),
        ("members", "member", "prepare_pin_reset"),
        ("members", "member", "close_membership"),
        ("credentials", "closure", "view_closure"),
        ("credentials", "outboxmail", "view_outboxmail"),
    ],
    "Store": [
        ("members", "member", "view_member"),
        ("members", "member", "verify_in_person"),
        ("members", "member", "suspend_member"),
        ("members", "member", "reinstate_member"),
        ("members", "member", "reinstate_member_in_person"),
        ("members", "member", "start_pin_reset"),
        ("members", "member", "close_membership"),
        ("credentials", "closure", "view_closure"),
    ],
    "Auditor": [
        ("members", "member", "view_overview"),
        ("credentials", "event", "view_event"),
        ("credentials", "identitycheck", "view_identitycheck"),
        ("credentials", "closure", "view_closure"),
        ("credentials", "outboxmail", "view_outboxmail"),
    ],
    "Administrator": [
        ("members", "member", "view_overview"),
        ("members", "user", "add_user"),
        ("members", "user", "change_user"),
        ("members", "user", "view_user"),
        ("credentials", "apiclient", "add_apiclient"),
        ("credentials", "apiclient", "change_apiclient"),
        ("credentials", "apiclient", "view_apiclient"),
        ("credentials", "apikey", "view_apikey"),
        ("credentials", "outboxmail", "view_outboxmail"),
    ],
}


def create_roles(apps, schema_editor):
    ContentType = apps.get_model("contenttypes", "ContentType")
    Permission = apps.get_model("auth", "Permission")
    Group = apps.get_model("auth", "Group")
    for role, permissions in ROLES.items():
        group, _created = Group.objects.get_or_create(name=role)
        for app_label, model, codename in permissions:
            # Django makes the permissions after all migrations; they are needed here already.
            kind, _created = ContentType.objects.get_or_create(app_label=app_label, model=model)
            permission, _created = Permission.objects.get_or_create(
                codename=codename,
                content_type=kind,
                defaults={"name": codename.replace("_", " ").capitalize()},
            )
            group.permissions.add(permission)


def remove_roles(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("credentials", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [migrations.RunPython(create_roles, remove_roles)]
