"""A private certificate authority for tests: servers and clients with certificates that it has signed."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class Authority:
    """Its certificate is `file`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        ca = x509.BasicConstraints(ca=True, path_length=0)
        draft = self._draft(self._name, self._key.public_key(), 0).add_extension(ca, critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        draft = draft.add_extension(identifier, critical=False)
        own = draft.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.public_bytes(PEM))

    def issue(self, name: str, *hosts: str, days_ago: int = 0) -> tuple[Path, Path]:
        """A certificate and its key, for a server of these hosts or, without any, for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        draft = self._draft(_named(name), key.public_key(), days_ago)
        draft = draft.add_extension(x509.ExtendedKeyUsage([SERVER if hosts else CLIENT]), critical=False)
        if hosts:
            draft = draft.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        certificate, private = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(draft.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        plain = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
        private.chmod(0o600)
        return certificate, private

    def _draft(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days_ago: int) -> x509.CertificateBuilder:
        """Valid for a day, from an hour before that on."""
        begin = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago, hours=1)
        draft = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        draft = draft.serial_number(x509.random_serial_number())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        draft = draft.add_extension(signer, critical=False)
        return draft.not_valid_before(begin).not_valid_after(begin + dt.timedelta(days=1))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
