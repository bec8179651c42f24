import base64
import hashlib
import os
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from OpenSSL import crypto

from ingest import certificate
from ingest.certificate import ANCHORS, Anchors, Argv, Authority, Step, System
from shared.process import UserError

FOUND = Authority(
    pem=Path("/c/mitmproxy-ca-cert.pem"), cer=Path("/c/mitmproxy-ca-cert.cer"), subject="mitmproxy", sha1="AB12",
    sha256="CD34", spki="c3BraQ==", expires=datetime(2036, 1, 1, tzinfo=UTC),
)  # fmt: skip
HOME = Path("/home/me")
KEYCHAIN = "/home/me/Library/Keychains/login.keychain-db"
NSS = HOME / ".pki/nssdb"


def debian(**more: object) -> System:
    return System(platform="linux", home=HOME, anchors=ANCHORS[0], elevate=("sudo",), **more)  # type: ignore[arg-type]


def commands(steps: tuple[Step, ...]) -> list[str]:
    return [" ".join(step.argv) for step in steps]


@pytest.mark.parametrize(
    ("system", "installed", "removed"),
    [
        (
            debian(),
            [
                "sudo install -m 0644 /c/mitmproxy-ca-cert.pem /usr/local/share/ca-certificates/tradecopier-proxy.crt",
                "sudo update-ca-certificates",
            ],
            ["sudo rm -f /usr/local/share/ca-certificates/tradecopier-proxy.crt", "sudo update-ca-certificates"],
        ),
        (
            System(platform="linux", home=HOME, anchors=ANCHORS[1]),
            [
                "install -m 0644 /c/mitmproxy-ca-cert.pem /etc/pki/ca-trust/source/anchors/tradecopier-proxy.pem",
                "update-ca-trust extract",
            ],
            ["rm -f /etc/pki/ca-trust/source/anchors/tradecopier-proxy.pem", "update-ca-trust extract"],
        ),
        (
            System(platform="linux", home=HOME, databases=(NSS,)),
            [
                "mkdir -p /home/me/.pki/nssdb",
                "certutil -d sql:/home/me/.pki/nssdb -N --empty-password",
                "certutil -d sql:/home/me/.pki/nssdb -A -t C,, -n tradecopier-proxy -i /c/mitmproxy-ca-cert.pem",
            ],
            ["certutil -d sql:/home/me/.pki/nssdb -D -n tradecopier-proxy"],
        ),
        (System(platform="linux", home=HOME), [], []),
        (
            System(platform="windows", home=HOME),
            ["certutil -user -addstore Root /c/mitmproxy-ca-cert.cer"],
            ["certutil -user -delstore Root AB12"],
        ),
        (
            System(platform="macos", home=HOME),
            [f"security add-trusted-cert -r trustRoot -k {KEYCHAIN} /c/mitmproxy-ca-cert.pem"],
            [
                "security remove-trusted-cert /c/mitmproxy-ca-cert.pem",
                f"security delete-certificate -Z AB12 {KEYCHAIN}",
            ],
        ),
    ],
    ids=["Debian", "Fedora", "browser", "unknown Linux", "Windows", "macOS"],
)
def test_each_system_has_its_own_way_in_and_the_same_way_out(
    system: System, installed: list[str], removed: list[str]
) -> None:
    assert commands(certificate.install(FOUND, system)) == installed
    assert commands(certificate.remove(FOUND, system)) == removed


@pytest.mark.parametrize("platform", ["linux", "windows", "macos"])
def test_every_system_can_show_what_it_trusts(platform: certificate.Platform) -> None:
    shown = certificate.show(FOUND, System(platform=platform, home=HOME, anchors=ANCHORS[0], databases=(NSS,)))
    assert shown
    assert all("Root" in s.argv or "keychain" in s.what or s.argv[0] in ("ls", "certutil") for s in shown)


def test_a_store_that_is_there_already_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "cert9.db").touch()
    system = System(platform="linux", home=HOME, databases=(tmp_path,))
    assert [step.argv[3] for step in certificate.install(FOUND, system)] == ["-A"]


def test_browsers_are_found_by_their_stores(tmp_path: Path) -> None:
    profile = tmp_path / ".mozilla/firefox/abc.default"
    profile.mkdir(parents=True)
    (profile / "cert9.db").touch()
    (tmp_path / ".mozilla/firefox/empty").mkdir()
    assert certificate.databases(tmp_path) == (tmp_path / ".pki/nssdb", profile)


def test_what_was_done_and_what_went_wrong_is_said_and_the_rest_is_still_tried() -> None:
    ran: list[Argv] = []

    def run(argv: Argv) -> int:
        ran.append(argv)
        if argv[0] == "certutil":
            raise FileNotFoundError
        return 1 if argv[0] == "fails" else 0

    steps = [Step(("certutil", "-A"), "trust it"), Step(("fails",), "refresh"), Step(("works", "well"), "finish")]
    assert list(certificate.carry_out(steps, run)) == [
        (
            "the browser's store needs certutil: install libnss3-tools (Fedora: nss-tools, Arch: nss) (to trust it)",
            False,
        ),
        ("refresh: fails failed with 1", False),
        ("finish: works well", True),
    ]
    assert len(ran) == 3


CERTUTIL = """#!/bin/sh
echo 'Root "Trusted Root Certification Authorities"'
echo 'Signature matches Public Key'
test "$2" = "$REFUSED" || exit 0
echo 'CertUtil: -addstore command FAILED: 0x800704c7 (WIN32: 1223 ERROR_CANCELLED)'
echo 'CertUtil: The operation was canceled by the user.'
echo
exit 1
"""


def test_of_what_windows_says_at_length_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "certutil").write_text(CERTUTIL)
    (tmp_path / "certutil").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    windows = System(platform="windows", home=HOME)
    every = [*certificate.install(FOUND, windows), *certificate.show(FOUND, windows)]
    assert [well for _, well in certificate.carry_out(every, certificate.execute)] == [True, True]

    monkeypatch.setenv("REFUSED", "-delstore")
    ((line, well),) = certificate.carry_out(certificate.remove(FOUND, windows), certificate.execute)
    assert (line.splitlines(), well) == ([line], False)
    assert line.endswith("failed: CertUtil: The operation was canceled by the user.")
    assert capfd.readouterr() == ("", "")


def test_the_authority_is_made_once_and_told_by_its_key(tmp_path: Path) -> None:
    found = certificate.authority(tmp_path / "proxy")
    assert certificate.authority(tmp_path / "proxy") == found
    assert stat.S_IMODE((tmp_path / "proxy/mitmproxy-ca.pem").stat().st_mode) == 0o600
    assert found.expires > datetime.now(UTC)
    assert found.subject == "mitmproxy"
    key = crypto.dump_publickey(
        crypto.FILETYPE_ASN1, crypto.load_certificate(crypto.FILETYPE_PEM, found.pem.read_bytes()).get_pubkey()
    )
    assert found.spki == base64.b64encode(hashlib.sha256(key).digest()).decode()


def test_a_store_takes_it_and_gives_it_back(tmp_path: Path) -> None:
    """With the real commands; only what makes the system read its store again is a stand-in."""
    found = certificate.authority(tmp_path / "proxy")
    (tmp_path / "local").mkdir()
    (tmp_path / "certs").mkdir()
    refresh = (
        "sh",
        "-c",
        f"cat {tmp_path}/local/*.crt > {tmp_path}/certs/bundle 2>/dev/null || : > {tmp_path}/certs/bundle",
    )
    system = System(platform="linux", home=tmp_path, anchors=Anchors(tmp_path / "local", ".crt", refresh))
    for steps, trusted in ((certificate.install(found, system), True), (certificate.remove(found, system), False)):
        assert all(well for _, well in certificate.carry_out(steps, certificate.execute))
        assert (found.pem.read_text() in (tmp_path / "certs/bundle").read_text()) == trusted


def test_a_browsers_store_takes_it_and_gives_it_back(tmp_path: Path) -> None:
    """With NSS's own command: the store is made, shows it, trusts it for servers only, and is rid of it again."""
    if shutil.which("certutil") is None:
        pytest.skip("certutil is not installed (libnss3-tools)")
    found = certificate.authority(tmp_path / "proxy")
    system = System(platform="linux", home=tmp_path, databases=certificate.databases(tmp_path))
    assert listed(tmp_path) == ""
    for _ in range(2):
        assert all(well for _, well in certificate.carry_out(certificate.install(found, system), certificate.execute))
    assert re.search(rf"{certificate.NICKNAME}\s+C,,", listed(tmp_path))
    assert all(well for _, well in certificate.carry_out(certificate.show(found, system), certificate.execute))
    assert all(well for _, well in certificate.carry_out(certificate.remove(found, system), certificate.execute))
    assert certificate.NICKNAME not in listed(tmp_path)


def listed(home: Path) -> str:
    """What the browser's store below `home` holds; nothing when there is none."""
    argv = ["certutil", "-d", f"sql:{home}/.pki/nssdb", "-L"]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def test_this_computer_is_one_of_the_three(tmp_path: Path) -> None:
    system = certificate.look({"HOME": str(tmp_path)}.get)
    assert system.home == tmp_path
    assert system.platform in ("linux", "windows", "macos")
    assert bool(system.elevate) == (system.platform == "linux" and os.geteuid() != 0)


def test_an_authority_that_is_somebody_elses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "proxy").write_text("no folder")
    with pytest.raises(UserError, match="be who runs the proxy: File exists"):
        certificate.authority(tmp_path / "proxy")


def test_a_program_that_may_not_be_run_is_as_good_as_none() -> None:
    """As where a folder of PATH is closed to the user."""

    def run(_argv: Argv) -> int:
        raise PermissionError

    ((line, well),) = certificate.carry_out([Step(("sudo", "x"), "trust it")], run)
    assert (line, well) == ("run this as root: there is no sudo (to trust it)", False)
