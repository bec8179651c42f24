"""The commands of an operator at the command line: what must be typed out, what is said, and the exit codes."""

import json
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from deploy.cli import cli
from deploy.embedded import Valkey
from tests.deploy.onlookers import beside
from tests.executor.rig import ACCOUNT, KEYS


@pytest.fixture
def config(tmp_path: Path, valkey: Valkey) -> Path:
    """Settings of one account, `main`, that only computes."""
    config = beside(tmp_path, valkey)
    config.write_text(config.read_text().replace('sources = ["demo"]', 'sources = ["demo"]\nmode = "shadow"'))
    return config


def run(config: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["--config", str(config), *arguments], input=typed)


def mode(valkey: Valkey) -> str | None:
    """The account's state, None when nobody has set one."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        found = client.hget(KEYS.account("state", ACCOUNT), "mode")
    assert found is None or isinstance(found, str)
    return found


@pytest.mark.parametrize(("command", "state"), [("pause", "halted"), ("flatten", "close-only")])
def test_a_dangerous_command_is_carried_out_when_it_was_typed_with_its_accounts(
    command: str, state: str, config: Path, valkey: Valkey
) -> None:
    ran = run(config, command, ACCOUNT, typed=f"{command} {ACCOUNT}\n")

    assert ran.exit_code == 0, ran.output
    assert f"Type `{command} {ACCOUNT}` to go on" in ran.output
    assert mode(valkey) == state


@pytest.mark.parametrize("command", ["pause", "flatten"])
@pytest.mark.parametrize("typed", ["\n", "y\n", "{command}\n", "{command} other\n", "{command} MAIN\n"])
def test_anything_else_that_is_typed_changes_nothing(command: str, typed: str, config: Path, valkey: Valkey) -> None:
    ran = run(config, command, "--all", typed=typed.format(command=command))

    assert ran.exit_code == 2
    assert "nothing was changed" in ran.output
    assert mode(valkey) is None


def test_the_word_of_another_command_does_not_stand_for_this_one(config: Path, valkey: Valkey) -> None:
    assert run(config, "flatten", ACCOUNT, "--yes", "pause", typed="\n").exit_code == 2
    assert mode(valkey) is None
    assert run(config, "flatten", ACCOUNT, "--yes", "flatten").exit_code == 0
    assert mode(valkey) == "close-only"


def test_what_stops_no_exit_is_done_at_once_and_resume_says_when_it_only_computes(config: Path, valkey: Valkey) -> None:
    stopped = run(config, "close-only", ACCOUNT)
    assert (stopped.exit_code, stopped.output) == (0, "main: close-only: nothing is opened, exits go on\n")
    assert mode(valkey) == "close-only"

    resumed = run(config, "resume", "--all")
    assert (resumed.exit_code, resumed.output) == (
        0,
        "main: following again; limits on losses count from now (in shadow: nothing is sent)\n",
    )
    assert mode(valkey) == "shadow"


@pytest.mark.parametrize(
    ("stopped", "typed", "code", "after"),
    [
        ("removed 5", "\n", 2, None),
        ("removed 5", "resume main\n", 0, "shadow"),
        ("restored 5", "", 0, "shadow"),
        ("daily-loss 5", "", 0, "shadow"),
        ("", "", 0, "shadow"),
    ],
)
def test_resume_wants_to_be_typed_out_where_facts_were_removed_and_not_restored(
    config: Path, valkey: Valkey, stopped: str, typed: str, code: int, after: str | None
) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.hset(KEYS.account("state", ACCOUNT), "stopped", stopped)

    ran = run(config, "resume", "--all", typed=typed)

    assert ran.exit_code == code, ran.output
    assert ("`tradecopier restore` first" in ran.output) is stopped.startswith("removed")
    assert mode(valkey) == after


def test_looking_at_a_machine_that_copies_nothing_ends_in_exit_code_1(config: Path) -> None:
    told = run(config, "status", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["light"]["colour"] == "red"

    examined = run(config, "doctor")
    assert examined.exit_code == 1
    assert "account main" in examined.output
