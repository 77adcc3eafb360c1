"""The cryptography of SNMPv3's user-based security model (RFC 3414, RFC 3826, RFC 7860). Keeps no state, knows no messages.

Keys are made from passphrases by pysnmp's functions; digests and ciphers come from hashlib and `cryptography`.
AES-192 and AES-256 extend their key as net-snmp does (draft-blumenthal-aes-usm-04).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from pysnmp.proto.rfc1902 import OctetString
from pysnmp.proto.secmod.rfc3414 import localkey

from config.secret import Secret
from config.site import SnmpCredentials


@dataclass(frozen=True, slots=True)
class AuthProtocol:
    """A digest: hashlib's name of it and how many bytes of it a message carries."""

    name: str
    digest_bytes: int


AUTH_PROTOCOLS: Mapping[str, AuthProtocol] = {
    "md5": AuthProtocol("md5", 12),
    "sha": AuthProtocol("sha1", 12),
    "sha224": AuthProtocol("sha224", 16),
    "sha256": AuthProtocol("sha256", 24),
    "sha384": AuthProtocol("sha384", 32),
    "sha512": AuthProtocol("sha512", 48),
}
PRIV_KEY_BYTES: Mapping[str, int] = {"des": 16, "aes128": 16, "aes192": 24, "aes256": 32}


@dataclass(frozen=True, slots=True)
class Keys:
    """A user's keys at one authoritative engine; empty where the level does not need them."""

    auth: bytes = b""
    priv: bytes = b""

    def __repr__(self) -> str:
        return "<keys>"


class KeyRing:
    """Keys by user and engine, each made once. A passphrase costs 3 ms to hash, a user's keys at one more engine 10 us."""

    def __init__(self) -> None:
        self._hashed: dict[tuple[str, Secret], bytes] = {}
        self._localised: dict[tuple[SnmpCredentials, bytes], Keys] = {}

    def keys(self, credentials: SnmpCredentials, engine_id: bytes) -> Keys:
        """Return a user's keys at an engine."""
        found = self._localised.get((credentials, engine_id))
        if found is None:
            found = self._localised[credentials, engine_id] = self._make(credentials, engine_id)
        return found

    def forget(self) -> None:
        """Forget all keys."""
        self._hashed.clear()
        self._localised.clear()

    def _make(self, credentials: SnmpCredentials, engine_id: bytes) -> Keys:
        if not credentials.auth_protocol or credentials.auth_secret is None:
            return Keys()
        digest = getattr(hashlib, AUTH_PROTOCOLS[credentials.auth_protocol].name)
        auth = self._localise(credentials.auth_secret, digest, engine_id)
        if not credentials.priv_protocol or credentials.priv_secret is None:
            return Keys(auth)
        size = PRIV_KEY_BYTES[credentials.priv_protocol]
        priv = self._localise(credentials.priv_secret, digest, engine_id)
        while len(priv) < size:
            priv += digest(priv).digest()
        return Keys(auth, priv[:size])

    def _localise(self, secret: Secret, digest: Callable[..., Any], engine_id: bytes) -> bytes:
        name = digest().name
        hashed = self._hashed.get((name, secret))
        if hashed is None:
            hashed = localkey.hash_passphrase(secret.reveal().encode(), digest).asOctets()
            self._hashed[name, secret] = hashed
        return bytes(localkey.localize_key(hashed, OctetString(engine_id), digest).asOctets())


def sign(protocol: str, key: bytes, message: bytes) -> bytes:
    """Return the digest of a whole message whose own digest field is zero (RFC 3414 section 6.3.1)."""
    auth = AUTH_PROTOCOLS[protocol]
    return hmac.digest(key, message, auth.name)[: auth.digest_bytes]


def encrypt(protocol: str, key: bytes, plain: bytes, boots: int, time_s: int, counter: int) -> tuple[bytes, bytes]:
    """Return (ciphertext, salt to send along). `counter` never repeats for one key."""
    if protocol == "des":
        salt = (boots & 0xFFFFFFFF).to_bytes(4, "big") + (counter & 0xFFFFFFFF).to_bytes(4, "big")
        return _des(key, salt).encryptor().update(plain + bytes(-len(plain) % 8)), salt
    salt = (counter & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
    return _aes(key, salt, boots, time_s).encryptor().update(plain), salt


def decrypt(protocol: str, key: bytes, cipher: bytes, boots: int, time_s: int, salt: bytes) -> bytes | None:
    """Return the plain bytes (DES leaves its padding behind them); None if salt or length are impossible."""
    if len(salt) != 8:
        return None
    if protocol == "des":
        return None if len(cipher) % 8 else _des(key, salt).decryptor().update(cipher)
    return _aes(key, salt, boots, time_s).decryptor().update(cipher)


def _aes(key: bytes, salt: bytes, boots: int, time_s: int) -> Cipher[CFB]:
    """AES in CFB mode, the vector made of the engine's time and the salt (RFC 3826 section 3.1.2.1)."""
    return Cipher(AES(key), CFB(boots.to_bytes(4, "big") + time_s.to_bytes(4, "big") + salt))


def _des(key: bytes, salt: bytes) -> Cipher[CBC]:
    """DES in CBC mode (RFC 3414 section 8.1.1.1), as triple DES whose three keys are one: `cryptography` has no single DES."""
    vector = bytes(a ^ b for a, b in zip(key[8:16], salt, strict=True))
    return Cipher(TripleDES(key[:8] * 3), CBC(vector))
