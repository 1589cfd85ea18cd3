"""All settings of the portal, read from the environment.

`.env` beside manage.py is read first; the process environment wins. What production needs has no
default: where one is missing, the start stops with its name. `.env.example` is a working
single-machine set-up.
"""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from portal.environment import BASE_DIR, env, one_of, pin_keys, positive, rate
from portal.postgresql.options import connection_options

# --- What every installation says for itself -------------------------------------------------

# The environment's DEBUG means plain HTTP, for the demo, and no more than that. Django's own DEBUG
# stays off whatever anybody sets: its error pages show settings and source to whoever asks.
PLAIN_HTTP = env.bool("DEBUG", default=False)
DEBUG = False
SECRET_KEY = env.str("SECRET_KEY")
PIN_KEYS = pin_keys(env.str("PIN_KEYS"))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
DATABASES = {"default": env.db_url("DATABASE_URL")}
# How long a statement may take where somebody waits for it; 0, as manage.py says for its commands:
# as long as it takes.
DATABASE_SECONDS = env.int("DATABASE_SECONDS", default=5)
CACHES = {"default": env.cache_url("CACHE_URL")}
CACHE_URL = env.str("CACHE_URL")
vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
# Which side this process serves; the other side's addresses are not there.
SERVE = one_of("SERVE", "both", "members", "staff")
# The copy of the record, on another machine's storage; empty: none is kept.
RECORD_COPY = env.str("RECORD_COPY", default="")
if RECORD_COPY:
    RECORD_COPY = str(BASE_DIR / RECORD_COPY)
# The lender's and its products' names, as people would put them into a password.
LENDER_NAMES = env.list("LENDER_NAMES", default=[])
CALL_CENTRE_PHONE = env.str("CALL_CENTRE_PHONE", default="0120-000-000")
CALL_CENTRE_HOURS = env.str("CALL_CENTRE_HOURS", default="9:00–21:00")

# --- Policies --------------------------------------------------------------------------------

LOGIN_FAILURE_LIMIT = positive("LOGIN_FAILURE_LIMIT", 5)
SUSPENSION_SECONDS = positive("SUSPENSION_SECONDS", 86400)
SUSPENSIONS_UNTIL_IN_PERSON = positive("SUSPENSIONS_UNTIL_IN_PERSON", 3)
SOURCE_ACCOUNT_LIMIT = rate("SOURCE_ACCOUNT_LIMIT", "10/hour")
SOURCE_FAILURE_LIMIT = rate("SOURCE_FAILURE_LIMIT", "30/hour")
# How many times the shares of an IPv6 /64 its /48 has.
SOURCE_SITE_FACTOR = positive("SOURCE_SITE_FACTOR", 5)
GLOBAL_FAILURE_ALARM = rate("GLOBAL_FAILURE_ALARM", "500/minute")
ALARM_SECONDS = positive("ALARM_SECONDS", 900)
CODE_SECONDS = positive("CODE_SECONDS", 600)
CODE_ATTEMPTS = positive("CODE_ATTEMPTS", 5)
TICKET_SECONDS = positive("TICKET_SECONDS", 900)
IDENTITY_QUESTIONS_REQUIRED = positive("IDENTITY_QUESTIONS_REQUIRED", 3)
CLOSURE_NEEDS_SECOND = env.bool("CLOSURE_NEEDS_SECOND", default=True)
SESSION_IDLE_SECONDS = positive("SESSION_IDLE_SECONDS", 900)
SESSION_ABSOLUTE_SECONDS = positive("SESSION_ABSOLUTE_SECONDS", 43200)
STAFF_SESSION_IDLE_SECONDS = positive("STAFF_SESSION_IDLE_SECONDS", 900)
STAFF_SESSION_ABSOLUTE_SECONDS = positive("STAFF_SESSION_ABSOLUTE_SECONDS", 8 * 3600)
# Between the staff's password and the second factor.
SECOND_FACTOR_SECONDS = positive("SECOND_FACTOR_SECONDS", 600)

# Argon2id verifications at once in a process, how many may wait for one, and how long. All
# processes together verify as many at once as there are cores.
_CORES = os.cpu_count() or 1
HASHING_SLOTS = positive("HASHING_SLOTS", max(_CORES // positive("WEB_CONCURRENCY", _CORES), 1))
HASHING_QUEUE = positive("HASHING_QUEUE", 46)
HASHING_WAIT_SECONDS = env.float("HASHING_WAIT_SECONDS", default=5.0)
# The one setting that tests lower: the same algorithm, cheaper.
HASHING_MEMORY_KIB = positive("HASHING_MEMORY_KIB", 19 * 1024)

# --- The application -------------------------------------------------------------------------

INSTALLED_APPS = [
    "members",
    "credentials",
    "portal.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.middleware.BrowserRules",
    "csp.middleware.CSPMiddleware",
    "portal.middleware.MachinesOverTls",
    "portal.middleware.ReadableRequests",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.SignInFirst",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
AUTH_USER_MODEL = "members.User"
AUTHENTICATION_BACKENDS = ["credentials.sessions.SignedInUsers"]
LOGIN_URL = "admin:login" if SERVE == "staff" else "login"
LOGIN_REDIRECT_URL = "admin:index" if SERVE == "staff" else "top"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database and cache ----------------------------------------------------------------------

_database = DATABASES["default"]
# Relative paths are beside manage.py, wherever the command is run.
if _database["ENGINE"] == "django.db.backends.sqlite3":
    if _database["NAME"] != ":memory:":
        _database["NAME"] = str(BASE_DIR / _database["NAME"])
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    _database["CONN_MAX_AGE"] = None
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    _database["ENGINE"] = "portal.postgresql"
    _database["OPTIONS"] = connection_options(
        _database, pool=positive("DATABASE_POOL", 10), seconds=DATABASE_SECONDS
    )

if CACHES["default"]["BACKEND"].endswith("FileBasedCache"):
    _cache = BASE_DIR / CACHES["default"]["LOCATION"]
    _cache.mkdir(parents=True, exist_ok=True)
    CACHES["default"]["LOCATION"] = str(_cache)

# --- Passwords and sessions ------------------------------------------------------------------

PASSWORD_HASHERS = ["members.hashing.PasswordHasherOfPortal"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "credentials.passwords.MaximumLengthValidator", "OPTIONS": {"max_length": 128}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "credentials.passwords.PatternValidator"},
    {"NAME": "credentials.passwords.ContextWordsValidator"},
    {"NAME": "credentials.passwords.OwnDataValidator"},
]

SESSION_ENGINE = "credentials.sessions"
SESSION_COOKIE_AGE = max(SESSION_ABSOLUTE_SECONDS, STAFF_SESSION_ABSOLUTE_SECONDS)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "portal.views.csrf_failure"
# Messages of the admin wait in the session: no cookie of their own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 86400

# --- The browser -----------------------------------------------------------------------------

SECURE = not PLAIN_HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
LANGUAGE_COOKIE_NAME = "__Host-language" if SECURE else "language"
DEVICES_COOKIE_NAME = "__Host-devices" if SECURE else "devices"
SECURE_SSL_REDIRECT = SECURE
# The API is refused instead (portal.middleware.MachinesOverTls).
SECURE_REDIRECT_EXEMPT = [r"^healthz/$", r"^readyz/$", r"^api/"]
if TRUSTED_PROXIES >= 1:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 2 * 365 * 86400 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
FILE_UPLOAD_HANDLERS: list[str] = []
# No report of an error holds what was typed.
DEFAULT_EXCEPTION_REPORTER_FILTER = "portal.logs.NothingTyped"

# --- Languages and time ----------------------------------------------------------------------

LANGUAGE_CODE = "ja"
LANGUAGES = [("ja", _("Japanese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Tokyo"

# --- Static files ----------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if PLAIN_HTTP
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
# In the demo from where they are edited, as they are at this moment; otherwise as collected.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = PLAIN_HTTP
WHITENOISE_MAX_AGE = 0 if PLAIN_HTTP else 60

# --- Logs ------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": [
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        }
    },
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stdout"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"level": "INFO", "propagate": True, "handlers": []},
        # Their messages quote what was typed into a URL; the access log has the path already.
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "WARNING"},
    },
}
