"""A certificate authority for the stand-in broker, made anew for every run: nobody else has to trust it."""

import base64
import datetime as dt
import hashlib
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_FILE, SERVER_FILE = "broker-ca.pem", "broker.pem"
VALID_FOR = dt.timedelta(days=7)
_EVERYTHING = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


def issue(directory: Path, host: str, now: dt.datetime) -> tuple[Path, ssl.SSLContext]:
    """The file of a new authority's certificate, and a server's side of TLS for `host`, which it has signed.

    `directory` gets `broker-ca.pem` and, with mode 0600, `broker.pem` (key and certificate of the server).
    """
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TradeCopier demo broker CA")])
    authority = _draft(name, name, authority_key.public_key(), now)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(_usage(authority=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    root = authority.add_extension(identifier, critical=False).sign(authority_key, hashes.SHA256())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    server = _draft(subject, name, server_key.public_key(), now)
    server = server.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    server = server.add_extension(_usage(authority=False), critical=True)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    server = server.add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
    server = server.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
    )
    leaf = server.sign(authority_key, hashes.SHA256())
    return _written(directory, root, leaf, server_key)


def pin(file: Path) -> str:
    """How a Chromium is told to trust the key of a certificate in a PEM file, and nothing else of its authority."""
    key = x509.load_pem_x509_certificate(file.read_bytes()).public_key()
    plain = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(plain).digest()).decode()


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    draft = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    draft = draft.serial_number(x509.random_serial_number())
    # An hour back: the clocks of two machines need not agree.
    return draft.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + VALID_FOR)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**_EVERYTHING, key_cert_sign=authority, crl_sign=authority)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _written(
    directory: Path, root: x509.Certificate, leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, ssl.SSLContext]:
    pem = serialization.Encoding.PEM
    authority_file, server_file = directory / AUTHORITY_FILE, directory / SERVER_FILE
    authority_file.write_bytes(root.public_bytes(pem))
    server_file.unlink(missing_ok=True)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(server_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(private + leaf.public_bytes(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server_file)
    return authority_file, context
