"""SNMPv3: every protocol pair against snmpd and pysnmp, and engines that lie about id, time, digests and levels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysnmp.proto import rfc1902
from pysnmp.proto.secmod.rfc3414 import service as reference

from config.site import Credentials, Device, SnmpCredentials
from kit.hostile_snmp import SITE, asking, device, get_step, hostile
from kit.snmpd import SYS_NAME, Snmpd, pairs, running
from kit.v3_agent import V3Agent, credentials
from probes.reason import Reason
from probes.snmp import secured, usm
from probes.snmp.get import compile_get
from probes.step import OptionError

STEP = get_step()
REFERENCE_PRIV: dict[str, Any] = {
    "des": reference.des.Des,
    "aes128": reference.aes.Aes,
    "aes192": reference.aes192.AesBlumenthal192,
    "aes256": reference.aes256.AesBlumenthal256,
}


@pytest.mark.parametrize(("auth", "priv"), pairs())
async def test_snmpd_takes_every_pair(snmpd: Snmpd, auth: str, priv: str) -> None:
    user = Credentials("c", snmp=snmpd.credentials("3", auth, priv))
    async with asking() as net:
        question = compile_get(SITE, Device("d", snmpd.address, "server", user), STEP)
        for _ in range(2):
            outcome = await question.ask(net, 3)
            assert (outcome.reason, outcome.facts) == (Reason.OK, (("sys_name", SYS_NAME),))


@pytest.mark.parametrize("priv", usm.PRIV_KEY_BYTES)
@pytest.mark.parametrize("auth", ["md5", "sha"])
def test_keys_and_ciphers_are_pysnmps(auth: str, priv: str) -> None:
    user, engine_id = credentials(auth, priv), b"\x80\x00\x00\x00\x04first"
    keys = usm.KeyRing().keys(user, engine_id)
    service: Any = REFERENCE_PRIV[priv]()
    digest: Any = {"md5": reference.hmacmd5.HmacMd5, "sha": reference.hmacsha.HmacSha}[auth]
    hashed = service.hash_passphrase(digest.SERVICE_ID, b"privacy-phrase")
    key = service.localize_key(digest.SERVICE_ID, hashed, rfc1902.OctetString(engine_id))
    assert bytes(key)[: len(keys.priv)] == keys.priv
    plain = b"a scoped PDU of some length!"
    cipher, salt = service.encrypt_data(key, (7, 1234, None), plain)
    ours = usm.decrypt(priv, keys.priv, bytes(cipher), 7, 1234, bytes(salt))
    assert ours is not None and ours[: len(plain)] == plain
    cipher, salt = usm.encrypt(priv, keys.priv, plain, 7, 1234, 99)
    theirs = service.decrypt_data(key, (7, 1234, rfc1902.OctetString(salt)), rfc1902.OctetString(cipher))
    assert bytes(theirs)[: len(plain)] == plain


def test_a_passphrase_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    hash_passphrase = usm.localkey.hash_passphrase

    def counted(*args: object) -> object:
        nonlocal count
        count += 1
        return hash_passphrase(*args)

    monkeypatch.setattr(usm.localkey, "hash_passphrase", counted)
    ring = usm.KeyRing()
    for number in range(50):
        ring.keys(credentials(), b"\x80\0\0\0\x04" + bytes((number,)))
    assert count == 2  # authentication, privacy
    assert ring.keys(credentials(), b"\x80\0\0\0\x04\x00") is ring.keys(credentials(), b"\x80\0\0\0\x04\x00")


def test_the_rfc_s_own_example() -> None:
    """RFC 3414 A.3.2."""
    user = SnmpCredentials("3", None, "u", "sha", credentials(phrase="maplesyrup").auth_secret)
    keys = usm.KeyRing().keys(user, bytes.fromhex("000000000000000000000002"))
    assert keys.auth.hex() == "6695febc9288e36282235fc7151f128497b38f3f"
    assert "maple" not in repr(keys) and keys.auth.hex() not in repr(keys)
    assert hashlib.sha1(b"").name == usm.AUTH_PROTOCOLS["sha"].name


@pytest.fixture
def agent() -> Iterator[V3Agent]:
    return V3Agent()


async def _ask(agent: V3Agent, times: int = 1, wait_s: float = 0.3, user: SnmpCredentials | None = None) -> Any:
    """Ask some times in a row, one engine; return outcomes, packets and the engine."""
    async with asking() as net, hostile(agent) as end:
        question = compile_get(SITE, device(end.port, user or agent.user), STEP)
        outcomes = [await question.ask(net, wait_s) for _ in range(times)]
        return outcomes, len(end.requests), net.snmp


async def test_discovery_happens_once(agent: V3Agent) -> None:
    outcomes, packets, engine = await _ask(agent, 5, wait_s=6)
    assert {outcome.reason for outcome in outcomes} == {Reason.OK}
    assert (agent.discoveries, packets) == (1, 6)
    assert len(engine.beliefs) == 1


@pytest.mark.parametrize("change", ["ahead", "behind", "rebooted", "boots reset"])
async def test_time_is_agreed_on_anew_once(agent: V3Agent, change: str) -> None:
    async with asking() as net, hostile(agent) as end:
        question = compile_get(SITE, device(end.port, agent.user), STEP)
        assert (await question.ask(net, 6)).reason is Reason.OK
        agent.ahead_s = {"ahead": 100_000, "behind": -900, "rebooted": -1000, "boots reset": -1000}[change]
        agent.boots = {"rebooted": 4, "boots reset": 1}.get(change, 3)
        before = len(end.requests)
        for _ in range(3):
            assert (await question.ask(net, 6)).reason is Reason.OK
        assert len(end.requests) - before == 4  # one resync, then three answers


async def test_a_loop_of_reports_ends_after_one_resync(agent: V3Agent) -> None:
    agent.always_out_of_time = True
    outcomes, packets, engine = await _ask(agent, wait_s=3)
    assert (outcomes[0].reason, packets) == (Reason.NOT_IN_TIME_WINDOW, 3)
    assert not engine.beliefs


async def test_an_unauthenticated_time_is_not_believed(agent: V3Agent) -> None:
    agent.always_out_of_time = agent.unauthentic_times = True
    outcomes, __, __ = await _ask(agent)
    assert outcomes[0].reason is Reason.NOT_IN_TIME_WINDOW
    assert outcomes[0].rejected["not_in_time_window"] >= 1


async def test_a_changed_engine_is_a_reason_until_it_is_forgotten(agent: V3Agent) -> None:
    async with asking() as net, hostile(agent) as end:
        question = compile_get(SITE, device(end.port, agent.user), STEP)
        assert (await question.ask(net, 6)).reason is Reason.OK
        agent.engine_id = b"\x80\x00\x00\x00\x04other"
        for _ in range(3):
            outcome = await question.ask(net, 0.5)
            assert outcome.reason is Reason.ENGINE_CHANGED
            assert agent.engine_id.hex() in outcome.detail
        net.snmp.forget_engines()
        assert (await question.ask(net, 6)).reason is Reason.OK


async def test_a_replaced_device_is_met_anew_after_a_while(agent: V3Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking() as net, hostile(agent) as end:
        question = compile_get(SITE, device(end.port, agent.user), STEP)
        assert (await question.ask(net, 6)).reason is Reason.OK
        agent.engine_id = b"\x80\x00\x00\x00\x04other"
        assert (await question.ask(net, 0.5)).reason is Reason.ENGINE_CHANGED
        monkeypatch.setattr("probes.snmp.user.RELEARN_S", 0.0)
        agent.wrong_digest = True  # whoever took its place must know the passphrase
        assert (await question.ask(net, 0.5)).reason is Reason.ENGINE_CHANGED
        assert (await question.ask(net, 0.5)).reason is Reason.AUTH
        agent.wrong_digest = False
        assert (await question.ask(net, 6)).reason is Reason.OK


@pytest.mark.parametrize(
    "kind", [secured.UNKNOWN_USER, secured.WRONG_DIGEST, secured.UNSUPPORTED_LEVEL, secured.DECRYPTION_ERROR]
)
async def test_a_refusal_never_leads_to_a_lower_level(agent: V3Agent, kind: int) -> None:
    agent.refuse = kind
    outcomes, packets, __ = await _ask(agent, 2)
    assert {outcome.reason for outcome in outcomes} == {Reason.AUTH}
    assert outcomes[0].detail == secured.REPORT_NAMES[kind]
    assert agent.asked == [0, 3, 0, 3]  # discovery has no security, every question has all of it
    assert packets == 4


@pytest.mark.parametrize("knob", ["wrong_digest", "plain_answers", "no_privacy"])
async def test_answers_without_proof_are_dropped(agent: V3Agent, knob: str) -> None:
    setattr(agent, knob, True)
    outcomes, __, engine = await _ask(agent)
    assert (outcomes[0].reason, outcomes[0].facts) == (Reason.AUTH, ())
    assert outcomes[0].rejected["auth"] >= 1
    assert not engine.beliefs


async def test_what_cannot_be_decrypted_is_dropped(agent: V3Agent) -> None:
    agent.garbage = True
    outcomes, __, __ = await _ask(agent)
    assert (outcomes[0].reason, outcomes[0].facts) == (Reason.MALFORMED, ())


async def test_an_old_answer_is_dropped(agent: V3Agent) -> None:
    agent.stale_s = 400
    outcomes, __, __ = await _ask(agent)
    assert outcomes[0].reason is Reason.NOT_IN_TIME_WINDOW


async def test_a_spoofed_discovery_is_not_remembered(agent: V3Agent) -> None:
    async with asking() as net, hostile(agent) as end:
        question = compile_get(SITE, device(end.port, agent.user), STEP)
        agent.discovery_id = b"\x80\x00\x00\x00\x04spoofed"
        outcome = await question.ask(net, 0.5)
        assert outcome.reason is not Reason.OK
        assert not net.snmp.beliefs
        agent.discovery_id = None
        assert (await question.ask(net, 6)).reason is Reason.OK
        (belief,) = net.snmp.beliefs.values()
        assert belief.engine_id == agent.engine_id


async def test_a_wrong_passphrase_is_dropped_on_both_sides(snmpd: Snmpd) -> None:
    good = snmpd.credentials("3", "sha", "aes128")
    wrong = SnmpCredentials(
        "3",
        None,
        good.user,
        "sha",
        credentials(phrase="something else").auth_secret,
        "aes128",
        good.priv_secret,
        port=snmpd.port,
    )
    async with asking() as net:
        outcome = await compile_get(SITE, Device("d", snmpd.address, "server", Credentials("c", snmp=wrong)), STEP).ask(net, 1)
        assert (outcome.reason, outcome.detail) == (Reason.AUTH, "wrongDigests")


async def test_snmpd_restarts_and_is_met_again(tmp_path: Path) -> None:
    async with asking() as net:
        with running(tmp_path) as daemon:
            user = Credentials("c", snmp=daemon.credentials("3", "sha256", "aes256"))
            question = compile_get(SITE, Device("d", daemon.address, "server", user), STEP)
            assert (await question.ask(net, 2)).reason is Reason.OK
        assert (await question.ask(net, 1)).reason is Reason.REFUSED
        with running(tmp_path, port=daemon.port):
            assert (await question.ask(net, 2)).reason is Reason.OK


@pytest.mark.parametrize("change", [{"auth": "sha1"}, {"priv": "3des"}, {"auth": ""}])
def test_impossible_credentials_are_refused_before_asking(change: dict[str, str]) -> None:
    user = credentials(**{"auth": "sha", "priv": "aes128", **change})
    with pytest.raises(OptionError):
        compile_get(SITE, device(161, user), STEP)


def test_no_secret_shows() -> None:
    question = compile_get(SITE, device(161, credentials()), STEP)
    assert "phrase" not in repr(question) + repr(vars(question))
