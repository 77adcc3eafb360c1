"""The keys under `credentials:` and the records they make. Secrets are references; see `config.secret_source`."""

from __future__ import annotations

import os
from pathlib import Path

from config.kind import PORT, FilePath, Flag, OneOf, SecretText, Text
from config.language import _
from config.node import Mapping
from config.reading import Reading
from config.secret import Secret
from config.secret_source import NoSecret, check_rights
from config.shape import Key, MapOf, Table, Values
from config.site import Credentials, HttpCredentials, PjlinkCredentials, SnmpCredentials, SshCredentials

AUTH_PROTOCOLS = ("md5", "sha", "sha224", "sha256", "sha384", "sha512")
PRIV_PROTOCOLS = ("des", "aes128", "aes192", "aes256")
PLATFORMS = ("huawei_vrp", "huawei", "hp_comware", "ruijie_os", "zte_zxros", "cisco_ios", "linux")
PASSPHRASE = SecretText(minimum=8)  # RFC 3414, 11.2: passwords of less than eight octets are refused


def _protocol(values: Values, node: Mapping, reading: Reading) -> tuple[str, Secret] | None:
    """Return the one protocol given, with its passphrase."""
    if len(node.entries) != 1:
        reading.wrong(node, _("expected exactly one protocol"))
        return None
    return next(((name, secret) for name, secret in values.items() if secret is not None), None)


def _protocols(names: tuple[str, ...], what: str, name: str) -> Table:
    keys = tuple(
        Key(word, PASSPHRASE, f"passphrase of {word} {what}, 8 characters or more", "file:/run/secrets/x") for word in names
    )
    return Table(keys, _protocol, name)


def _snmp(values: Values, node: Mapping, reading: Reading) -> SnmpCredentials | None:
    version = values.get("version")
    if version is None:
        return None
    _fits_version(version, values, node, reading)
    auth = values.get("auth") or ("", None)
    priv = values.get("priv") or ("", None)
    return SnmpCredentials(
        version=version,
        community=values.get("community"),
        user=values.get("user") or "",
        auth_protocol=auth[0],
        auth_secret=auth[1],
        priv_protocol=priv[0],
        priv_secret=priv[1],
        context=values.get("context") or "",
        port=values.get("port") or 161,
    )


def _fits_version(version: str, values: Values, node: Mapping, reading: Reading) -> None:
    """Report keys that the version needs and lacks, or has no use for."""
    needed, foreign = ("user", ("community",)) if version == "3" else ("community", ("user", "auth", "priv", "context"))
    if needed not in values:
        reading.wrong(node, _("'{key}' is missing: SNMP version {version} needs it").format(key=needed, version=version))
    for key in foreign:
        if key in values:
            reading.wrong_at(
                *node.marks[key], _("'{key}' has no meaning in SNMP version {version}").format(key=key, version=version)
            )
    if "priv" in values and "auth" not in values and version == "3":
        reading.wrong_at(*node.marks["priv"], _("privacy needs authentication: add auth (RFC 3414)"))


def _ssh(values: Values, node: Mapping, reading: Reading) -> SshCredentials | None:
    if "password" not in values and "key_file" not in values:
        reading.wrong(node, _("'password' or 'key_file' is missing"))
    private_file(values.get("key_file"), "key_file", node, reading)
    if values.get("username") is None:
        return None
    return SshCredentials(
        username=values["username"],
        password=values.get("password"),
        key_file=values.get("key_file"),
        port=values.get("port") or 22,
        platform=values.get("platform") or "",
        known_hosts=values.get("known_hosts"),
        trust_first_use=bool(values.get("trust_first_use")),
        legacy=bool(values.get("legacy")),
    )


def private_file(path: Path | None, key: str, node: Mapping, reading: Reading) -> None:
    """Report a private key's file that others may read. A missing one has been warned about."""
    if path is None or not os.path.exists(path):
        return
    reading.path.append(key)
    try:
        check_rights(path, os.stat(path))
    except (NoSecret, OSError) as error:
        reading.wrong(node.entries[key], str(error))
    reading.path.pop()


def _http(values: Values, node: Mapping, reading: Reading) -> HttpCredentials:
    if ("username" in values) != ("password" in values):
        reading.wrong(node, _("'username' and 'password' go together"))
    if "bearer" in values and "username" in values:
        reading.wrong(node, _("either 'bearer' or 'username' and 'password', not both"))
    return HttpCredentials(values.get("username") or "", values.get("password"), values.get("bearer"), values.get("ca"))


def _pjlink(values: Values, node: Mapping, reading: Reading) -> PjlinkCredentials:
    return PjlinkCredentials(values.get("password"), values.get("port") or 4352)


def _credentials(values: Values, node: Mapping, reading: Reading) -> Credentials:
    if not node.entries:
        reading.wrong(node, _("says nothing: expected snmp, ssh, http or pjlink"))
    return Credentials("", values.get("snmp"), values.get("ssh"), values.get("http"), values.get("pjlink"))


SNMP = Table(
    (
        Key("version", OneOf(("1", "2c", "3")), "version of the protocol", "2c", required=True),
        Key("community", SecretText(), "community of versions 1 and 2c, which need it", "env:SNMP_COMMUNITY"),
        Key("user", Text(32), "user name of version 3, which needs it", "noc"),
        Key("auth", _protocols(AUTH_PROTOCOLS, "authentication", "credentials.NAME.snmp.auth"),
            "authentication of version 3: one protocol and its passphrase", "{sha256: file:/run/secrets/auth}", "none"),
        Key("priv", _protocols(PRIV_PROTOCOLS, "privacy", "credentials.NAME.snmp.priv"),
            "encryption of version 3, only together with auth: one protocol and its passphrase",
            "{aes128: file:/run/secrets/priv}", "none"),
        Key("context", Text(32), "context name of version 3", "vrf-1", "none"),
        Key("port", PORT, "UDP port", "1161", "161"),
    ),
    _snmp,
    "credentials.NAME.snmp",
)  # fmt: skip
SSH = Table(
    (
        Key("username", Text(64), "who logs in", "monitor", required=True),
        Key("password", SecretText(), "password; this or key_file is needed", "file:/run/secrets/ssh"),
        Key(
            "key_file", FilePath(expected=True), "private key, mode 0640 or tighter; this or password is needed", "keys/monitor"
        ),
        Key("port", PORT, "TCP port", "2222", "22"),
        Key("platform", OneOf(PLATFORMS), "whose command line it is", "huawei_vrp", "told by the profile"),
        Key("known_hosts", FilePath(), "file of known host keys (OpenSSH format)", "known_hosts"),
        Key("trust_first_use", Flag(), "accept and remember the key of a host not seen before", "true", "false"),
        Key("legacy", Flag(), "admit old key exchanges and ciphers for these devices only", "true", "false"),
    ),
    _ssh,
    "credentials.NAME.ssh",
)
HTTP = Table(
    (
        Key("username", Text(128), "user of Basic or Digest authentication, with password", "monitor"),
        Key("password", SecretText(), "its password", "file:/run/secrets/camera"),
        Key("bearer", SecretText(), "bearer token instead of user and password", "env:NVR_TOKEN"),
        Key("ca", FilePath(expected=True), "file of trusted certificates (PEM)", "ca.pem", "the system's"),
    ),
    _http,
    "credentials.NAME.http",
)
PJLINK = Table(
    (
        Key("password", SecretText(), "the projector's PJLink password", "env:PJLINK", "none"),
        Key("port", PORT, "TCP port", "4352", "4352"),
    ),
    _pjlink,
    "credentials.NAME.pjlink",
    optional=True,
)
CREDENTIALS = MapOf(
    Table(
        (
            Key("snmp", SNMP, "how to ask over SNMP", "{version: 2c, community: env:SNMP_COMMUNITY}"),
            Key("ssh", SSH, "how to log in over SSH", "{username: monitor, password: file:/run/secrets/ssh}"),
            Key("http", HTTP, "how to ask over HTTP and HTTPS", "{username: monitor, password: env:CAMERA}"),
            Key("pjlink", PJLINK, "how to ask a projector", "{password: env:PJLINK}"),
        ),
        _credentials,
        "credentials.NAME",
    )
)
