"""Which admin site the project uses."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """The Django admin, with the portal's own sign-in for staff."""

    default_site = "credentials.staff_site.StaffSite"
