"""The stand-in broker's own certificate authority."""

import base64
import hashlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from deploy.demo.authority import SERVER_FILE, issue, pin


def handshake(authority: Path, server: ssl.SSLContext, host: str) -> None:
    """Shake hands in memory; raises what a client would raise."""
    client = ssl.create_default_context(cafile=str(authority))
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(ours, theirs, server_hostname=host)
    other = server.wrap_bio(theirs, ours, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert one.version() is not None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "broker.example"])
def test_whoever_trusts_the_authority_trusts_the_server_by_its_name(tmp_path: Path, host: str) -> None:
    authority, server = issue(tmp_path, host, datetime.now(UTC))
    handshake(authority, server, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, server, "other.example")


def test_each_authority_is_another(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    authority, _ = issue(first, "localhost", datetime.now(UTC))
    _, server = issue(second, "localhost", datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, server, "localhost")


def test_the_key_is_ours_alone_and_the_certificates_do_not_last(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority, _ = issue(tmp_path, "localhost", now)
    assert stat.S_IMODE((tmp_path / "broker.pem").stat().st_mode) == 0o600
    assert b"PRIVATE" not in authority.read_bytes()
    for file in (authority, tmp_path / "broker.pem"):
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
        assert certificate.not_valid_after_utc - now <= timedelta(days=7)
        assert certificate.not_valid_before_utc < now


def test_a_pin_is_the_hash_of_the_key_whatever_else_the_file_holds(tmp_path: Path) -> None:
    ca, _ = issue(tmp_path, "localhost", datetime.now(UTC))
    server = tmp_path / SERVER_FILE
    key = load_pem_private_key(server.read_bytes(), None).public_key()
    public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(pin(server)) == hashlib.sha256(public).digest()
    assert pin(ca) != pin(server)
