"""Which admin site the project uses, and what is checked of an installation."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The Django admin, with the portal's own sign-in for staff."""

    default_site = "credentials.staff_site.StaffSite"

    def ready(self) -> None:
        super().ready()
        import_module("portal.checks")
