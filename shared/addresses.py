"""The addresses of Redis and PostgreSQL as their client libraries take them, made from what the settings say apart:
server, user, password, and the files with which both sides prove who they are.
"""

from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

from shared.endpoints import Endpoints, parted, understood
from shared.listening import is_loopback
from shared.settings import Postgres, Redis, SettingsError
from shared.vault import require_private


def redis_url(redis: Redis) -> str:
    """Where Redis is, complete. Raises SettingsError when nothing says so, or what is said cannot be used."""
    if redis.url is None:
        raise SettingsError("redis.url is not set: name your Redis, or run `tradecopier up`, which brings one")
    url = redis.url.reveal()
    named, parts = _named(url), parted(url)
    more = [*_files(redis, encrypted=named.encrypted), *_seeking(redis, named)]
    query = urlencode(dict([*parse_qsl(parts.query), *more]))
    return parts._replace(netloc=_server(redis, parts.netloc), query=query).geturl()


def postgres_dsn(postgres: Postgres) -> str:
    """Where PostgreSQL is, complete. Raises SettingsError when nothing says so."""
    if postgres.dsn is None:
        raise SettingsError("postgres.dsn is not set: name your PostgreSQL, or run `tradecopier up`, which brings one")
    dsn = postgres.dsn.reveal()
    password = postgres.password.reveal() if postgres.password is not None else ""
    if not password:
        return dsn
    if "://" in dsn:
        return f"{dsn}{'&' if '?' in dsn else '?'}password={quote(password, safe='')}"
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"{dsn} password='{escaped}'"


def _named(url: str) -> Endpoints:
    """What a Redis address names. Raises SettingsError, without the address, since a password may be in it."""
    try:
        return understood(url)
    except ValueError as error:
        raise SettingsError(
            f"redis.url {error}; a password with other characters than letters and digits goes into redis.password"
        ) from None


def _seeking(redis: Redis, named: Endpoints) -> list[tuple[str, str]]:
    """What the search for the primary needs to know beyond the address."""
    if named.kind == "cluster":
        return [("namespace", redis.namespace)]
    user = redis.sentinel_username or ""
    password = redis.sentinel_password.reveal() if redis.sentinel_password is not None else ""
    given = [("sentinel_username", user), ("sentinel_password", password)]
    if named.kind != "sentinel" and any(value for _, value in given):
        raise SettingsError("redis.sentinel-password is set, but redis.url does not begin redis+sentinel://")
    return [(name, value) for name, value in given if value]


def unencrypted(url: str) -> str | None:
    """The server's name when it is elsewhere and what we say on the way to it can be read; else None."""
    if url.startswith(("rediss", "unix:")):
        return None
    return next((host for host, _ in understood(url).servers if not is_loopback(host)), None)


def _server(redis: Redis, written: str) -> str:
    """Host and port behind user and password: those that are set apart go before those in the url."""
    before, _, server = written.rpartition("@")
    user, separator, password = before.partition(":")
    if redis.username:
        user = quote(redis.username, safe="")
    if redis.password is not None and (own := redis.password.reveal()):
        separator, password = ":", quote(own, safe="")
    return f"{user}{separator}{password}@{server}" if user or password else server


def _files(redis: Redis, *, encrypted: bool) -> list[tuple[str, str]]:
    """What proves the server to us and us to the server."""
    named = {"ca-file": redis.ca_file, "cert-file": redis.cert_file, "key-file": redis.key_file}
    given = {key: path for key, path in named.items() if path is not None}
    if given and not encrypted:
        raise SettingsError(
            f"redis.{next(iter(given))} is set, but redis.url is not encrypted: "
            "it must begin rediss://, or rediss+sentinel:// or rediss+cluster://"
        )
    if (redis.cert_file is None) != (redis.key_file is None):
        raise SettingsError("redis.cert-file and redis.key-file belong together: set both, or none")
    for key, path in given.items():
        _require_file(f"redis.{key}", path)
    if redis.key_file is not None:
        require_private(redis.key_file, "the private key")
    options = {"ca-file": "ssl_ca_certs", "cert-file": "ssl_certfile", "key-file": "ssl_keyfile"}
    return [(options[key], str(path)) for key, path in given.items()]


def _require_file(key: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{key}: {path} cannot be read ({error.strerror})") from error
