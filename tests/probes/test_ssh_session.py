"""SSH against hostile servers, scripted switches and a real sshd: one deadline, one login, nothing typed that is not known."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
from pathlib import Path

import asyncssh
import pytest

from config.profile import Profile, Step
from config.site import Credentials
from kit.asking import bare_net, one_device, question, secret, ssh_credentials, timed
from kit.hostile_ssh import HARMFUL, PASSWORD, USER, Handler, Switch, endless_banner, endless_line, listening, serving
from probes.reason import Reason
from probes.registry import StepError, compile_plan

VERSION = b"Huawei Versatile Routing Platform Software\r\nVRP (R) software, Version 5.170 (S5735 V200R019C10SPC500)\r\n"
EXPECTED = "Huawei Versatile Routing Platform Software\nVRP (R) software, Version 5.170 (S5735 V200R019C10SPC500)"


def known_hosts(path: Path, port: int, key: asyncssh.SSHKey) -> Path:
    file = path / f"known_hosts-{port}"
    file.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n")
    return file


def asked(path: Path, port: int, commands: tuple[str, ...] = ("display version",), **fields):
    fields = {"port": port, "password": secret(PASSWORD)} | fields
    site, device = one_device(path, credentials=ssh_credentials(**fields))
    return question(site, device, "ssh", commands=list(commands))


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


# ------------------------------------------------------------------------------------------- hostile servers


@pytest.mark.parametrize("handler", HARMFUL, ids=lambda handler: handler.__name__)
async def test_a_harmful_server_ends_at_the_deadline(handler: Handler, tmp_path: Path) -> None:
    async with serving(handler) as port, bare_net() as net:
        ask = asked(tmp_path, port)
        await ask.ask(net, 0.3)  # so that what is imported and started once does not count
        before = open_files()
        outcome, seconds = await timed(ask, net, 0.5)
        assert seconds <= 0.7
        assert outcome.reason in (Reason.TIMEOUT, Reason.PROTOCOL, Reason.TOO_BIG)
        for _ in range(40):
            if open_files() <= before:
                break
            await asyncio.sleep(0.05)
        assert open_files() <= before


@pytest.mark.parametrize("handler", [endless_banner, endless_line], ids=lambda handler: handler.__name__)
async def test_an_endless_banner_costs_no_memory(handler: Handler, tmp_path: Path) -> None:
    async with serving(handler) as port, bare_net() as net:
        ask = asked(tmp_path, port)
        await ask.ask(net, 0.5)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome, seconds = await timed(ask, net, 5)
        assert outcome.reason in (Reason.TOO_BIG, Reason.PROTOCOL, Reason.TIMEOUT) and seconds <= 5.2
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


async def test_endless_output_ends_as_too_big(tmp_path: Path) -> None:
    class Endless(Switch):
        async def _answer(self, process, line):
            if line != "display version":
                return
            while True:
                process.stdout.write(b"line of output\r\n" * 500)
                await process.stdout.drain()

    async with listening(Endless()) as (port, key), bare_net() as net:
        outcome, seconds = await timed(asked(tmp_path, port, known_hosts=known_hosts(tmp_path, port, key)), net, 20)
        assert outcome.reason is Reason.TOO_BIG and seconds < 15


# ------------------------------------------------------------------------------------------- conversations


async def conversation(tmp_path: Path, switch: Switch, platform: str, command: str, timeout_s: float = 15):
    async with listening(switch) as (port, key), bare_net() as net:
        site, device = one_device(
            tmp_path,
            credentials=ssh_credentials(
                port=port, password=secret(PASSWORD), platform=platform, known_hosts=known_hosts(tmp_path, port, key)
            ),
        )
        outcome = await question(site, device, "ssh", commands=[command]).ask(net, timeout_s)
    return outcome, switch


SESSIONS = {
    "huawei_vrp": ("<core-1>", "display version", VERSION, EXPECTED),
    "hp_comware": ("<H3C-core>", "display version", b"H3C Comware Software, Version 7.1.070\r\n\r\nslot 1:\r\n", None),
    "ruijie_os": ("Ruijie>", "show version", b"System description : Ruijie 10G Ethernet Switch\r\n", None),
    "zte_zxros": ("ZXR10>", "show version", b"ZXR10 Router Operating System Software, ZTE Corporation\r\n", None),
    "cisco_ios": ("sw1>", "show version", b"Cisco IOS Software, C2960X Software\r\nsw1 uptime is 5 weeks\r\n", None),
    "linux": ("monitor@web:~$ ", "uptime", b" 10:00:00 up 5 days,  1 user,  load average: 0.00\r\n", None),
}


@pytest.mark.parametrize("platform", SESSIONS)
async def test_each_platform_answers_and_only_known_lines_are_typed(platform: str, tmp_path: Path) -> None:
    prompt, command, answer, expected = SESSIONS[platform]
    motd = b"\r\nWARNING: authorised users only>\r\nInfo: 5 failed logins. Continue?\r\n"
    outcome, switch = await conversation(tmp_path, Switch(prompt, motd, {command: answer}), platform, command)
    assert outcome.reason is Reason.OK, (outcome, switch.typed)
    shown = expected or answer.decode().replace("\r\n", "\n").rstrip()
    assert outcome.facts == ((f"ssh:{command}", shown),)
    assert outcome.keys.startswith(b"ssh_login_seconds{") and outcome.values[0] > 0
    assert switch.attempts == 1
    from probes.ssh.commands import PLATFORMS

    assert set(switch.typed) <= {"", command, *PLATFORMS[platform].preparation}


@pytest.mark.parametrize(("piece", "echo"), [(1, True), (1, False), (7, True), (0, False)])
async def test_the_cut_into_packets_changes_nothing(piece: int, echo: bool, tmp_path: Path) -> None:
    answer = (
        b"display version of <core-1> and more\r\n\x1b[1mbold\x1b[0m text\r\n"
        b"abc\b\b\bxyz\r\n  ---- More ----@@PAGE@@\x1b[42D                \x1b[42Dsecond page\r\nhalf\rHALF\r\n"
    )
    outcome, _ = await conversation(
        tmp_path, Switch(answers={"display version": answer}, piece=piece, echo=echo), "huawei_vrp", "display version"
    )
    assert outcome.reason is Reason.OK, outcome
    assert outcome.facts[0][1] == "display version of <core-1> and more\nbold text\nxyz\nsecond page\nHALF"


QUESTIONS = [
    b"\r\nYour password has expired. New password:",
    b"\r\nThe password needs to be changed. Change now? [Y/N]:",
    b"\r\nPlease choose 'YES' or 'NO' first before pressing 'Enter'. [Y/N]:",
    b"There are security risks in the configuration file. Save? [y/n]",
    b"Press Y or ENTER to continue, N to exit.",
    b"Do you want to change the password?",
    b"Username:",
]


async def test_a_question_is_never_answered(tmp_path: Path) -> None:
    async def one(platform: str, text: bytes) -> None:
        outcome, switch = await conversation(tmp_path, Switch(after_login=text), platform, SESSIONS[platform][1], 15)
        assert outcome.reason is Reason.PROMPT, (platform, text, outcome)
        assert switch.typed == [], (platform, text)

    await asyncio.gather(*(one(platform, text) for platform in ("huawei_vrp", "hp_comware", "ruijie_os") for text in QUESTIONS))


async def test_a_question_in_the_middle_is_never_answered(tmp_path: Path) -> None:
    class Asks(Switch):
        async def _answer(self, process, line):
            if line == "display version":
                process.stdout.write(b"The session will be closed. Are you sure? [Y/N]:")
                await asyncio.sleep(3600)

    outcome, switch = await conversation(tmp_path, Asks(), "huawei_vrp", "display version", 8)
    assert outcome.reason is Reason.PROMPT and switch.typed[-1] == "display version"


async def test_a_prompt_that_never_comes_is_a_timeout(tmp_path: Path) -> None:
    outcome, switch = await conversation(tmp_path, Switch(after_login=b"loading..."), "huawei_vrp", "display version", 1.0)
    assert outcome.reason is Reason.TIMEOUT and switch.typed == []


# ------------------------------------------------------------------------------------------- trust and secrets


async def test_an_unknown_and_a_changed_key_are_two_reasons(tmp_path: Path) -> None:
    switch = Switch(answers={"display version": VERSION})
    async with listening(switch) as (port, key), bare_net() as net:
        nowhere = tmp_path / "nowhere"
        outcome = await asked(tmp_path, port, known_hosts=nowhere).ask(net, 5)
        assert outcome.reason is Reason.HOST_KEY_UNKNOWN and "SHA256" in outcome.detail and not nowhere.exists()
        other = known_hosts(tmp_path, port, asyncssh.generate_private_key("ssh-ed25519"))
        for first_use in (False, True):
            outcome = await asked(tmp_path, port, known_hosts=other, trust_first_use=first_use).ask(net, 5)
            assert outcome.reason is Reason.HOST_KEY_CHANGED
        assert switch.attempts == 0
        outcome = await asked(tmp_path, port, (), known_hosts=nowhere, trust_first_use=True).ask(net, 5)
        assert outcome.reason is Reason.OK and key.export_public_key().decode().split()[1] in nowhere.read_text()
        outcome = await asked(tmp_path, port, (), known_hosts=nowhere).ask(net, 5)
        assert outcome.reason is Reason.OK
        nowhere.write_text(f"@revoked * {key.export_public_key().decode()}")
        assert (
            await asked(tmp_path, port, known_hosts=nowhere, trust_first_use=True).ask(net, 5)
        ).reason is Reason.HOST_KEY_CHANGED


async def test_another_type_of_key_for_a_known_host_is_a_changed_key(tmp_path: Path) -> None:
    async with listening(Switch()) as (port, _), bare_net() as net:
        file = known_hosts(tmp_path, port, asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
        assert (await asked(tmp_path, port, known_hosts=file).ask(net, 5)).reason is Reason.HOST_KEY_CHANGED


async def test_one_refused_login_is_the_last_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    switch = Switch()
    async with listening(switch) as (port, key), bare_net() as net:
        ask = asked(tmp_path, port, password=secret("wrong"), known_hosts=known_hosts(tmp_path, port, key))
        assert (await ask.ask(net, 5)).reason is Reason.AUTH
        again = asked(tmp_path, port, password=secret("wrong"), known_hosts=known_hosts(tmp_path, port, key))
        for _ in range(3):
            assert (await again.ask(net, 5)).reason is Reason.BACKING_OFF
        assert switch.attempts == 1
        assert net.backoff.waits_s(("127.0.0.1", port, USER)) > 14 * 60


async def test_a_password_that_has_to_be_changed_is_not_changed(tmp_path: Path) -> None:
    switch = Switch(expired=True)
    async with listening(switch) as (port, key), bare_net() as net:
        outcome = await asked(tmp_path, port, known_hosts=known_hosts(tmp_path, port, key)).ask(net, 3)
    assert outcome.reason is Reason.PROMPT and switch.attempts == 1, outcome


@pytest.mark.parametrize(
    ("questions", "reason", "given"),
    [
        (("Password: ",), Reason.OK, 1),
        (("Password: ", "New password: "), Reason.PROMPT, 1),
        (("Password: ", "Password: "), Reason.PROMPT, 1),
        (("New password: ",), Reason.PROMPT, 0),
        (("One-time password: ",), Reason.PROMPT, 0),
        (("Favourite colour? ",), Reason.PROMPT, 0),
    ],
)
async def test_of_interactive_questions_only_the_password_is_answered_once(
    questions: tuple[str, ...], reason: Reason, given: int, tmp_path: Path
) -> None:
    switch = Switch(questions=questions)
    async with listening(switch) as (port, key), bare_net() as net:
        outcome = await asked(tmp_path, port, (), known_hosts=known_hosts(tmp_path, port, key)).ask(net, 5)
    assert outcome.reason is reason, outcome
    assert switch.answered == [PASSWORD] * given


async def test_a_login_that_hangs_is_no_refusal(tmp_path: Path) -> None:
    async with serving(HARMFUL[0]) as port, bare_net() as net:
        assert (await asked(tmp_path, port).ask(net, 0.3)).reason is Reason.TIMEOUT
        assert net.backoff.waits_s(("127.0.0.1", port, USER)) == 0


@pytest.mark.parametrize("right", [True, False])
async def test_the_password_is_in_no_log(right: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = f"your password is {PASSWORD}\r\n".encode()
    switch = Switch(motd=shown, answers={"display version": shown + VERSION})
    async with listening(switch) as (port, key), bare_net() as net:
        site, device = one_device(
            tmp_path,
            credentials=ssh_credentials(
                port=port,
                username=USER if right else "other",
                password=secret(PASSWORD),
                known_hosts=known_hosts(tmp_path, port, key),
            ),
        )
        ask = question(site, device, "ssh", commands=["display version"])
        outcome = await ask.ask(net, 10)
    assert outcome.reason is (Reason.OK if right else Reason.AUTH)
    ours = [record for record in caplog.records if not record.name.startswith("asyncssh")]
    for text in (*(record.getMessage() for record in ours), repr(outcome), repr(ask), repr(device)):
        assert PASSWORD not in text


# ------------------------------------------------------------------------------------------- algorithms

ALGORITHMS = [
    ({}, False, Reason.OK),
    ({"kex_algs": ["diffie-hellman-group1-sha1"]}, False, Reason.NO_COMMON_ALGORITHM),
    ({"kex_algs": ["diffie-hellman-group1-sha1"]}, True, Reason.OK),
    ({"kex_algs": ["diffie-hellman-group14-sha1"]}, False, Reason.NO_COMMON_ALGORITHM),
    ({"kex_algs": ["diffie-hellman-group14-sha1"]}, True, Reason.OK),
    ({"encryption_algs": ["aes256-cbc"]}, False, Reason.NO_COMMON_ALGORITHM),
    ({"encryption_algs": ["aes256-cbc"]}, True, Reason.OK),
    ({"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]}, False, Reason.NO_COMMON_ALGORITHM),
    ({"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]}, True, Reason.OK),
    ({"signature_algs": ["ssh-rsa"]}, False, Reason.NO_COMMON_ALGORITHM),
    ({"signature_algs": ["ssh-rsa"]}, True, Reason.OK),
]


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")
@pytest.mark.parametrize(("options", "legacy", "reason"), ALGORITHMS)
async def test_old_algorithms_only_where_the_operator_says_so(
    options: dict, legacy: bool, reason: Reason, tmp_path: Path
) -> None:
    options = dict(options)
    old_rsa = options.pop("signature_algs", None)
    key = asyncssh.generate_private_key("ssh-rsa") if old_rsa else None
    switch = Switch(options=options)
    if old_rsa:
        switch.options["server_host_key_algs"] = None
    async with old_rsa_only(bool(old_rsa)), listening_with(switch, key) as (port, host_key), bare_net() as net:
        outcome = await asked(tmp_path, port, (), legacy=legacy, known_hosts=known_hosts(tmp_path, port, host_key)).ask(net, 8)
    assert outcome.reason is reason, outcome


class old_rsa_only:
    """While entered, asyncssh servers offer RSA host keys with SHA-1 signatures alone."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    async def __aenter__(self) -> None:
        if self.wanted:
            from asyncssh import rsa

            self.before = rsa.RSAKey.sig_algorithms
            rsa.RSAKey.sig_algorithms = (b"ssh-rsa",)

    async def __aexit__(self, *_: object) -> None:
        if self.wanted:
            from asyncssh import rsa

            rsa.RSAKey.sig_algorithms = self.before


def listening_with(switch: Switch, key: asyncssh.SSHKey | None):
    switch.options.pop("server_host_key_algs", None)
    return listening(switch, key)


# ------------------------------------------------------------------------------------------- what may be asked


@pytest.mark.parametrize(
    ("platform", "command", "allowed"),
    [
        ("huawei_vrp", "display version", True),
        ("huawei_vrp", "display interface GigabitEthernet0/0/1", True),
        ("huawei_vrp", "display current-configuration", False),
        ("huawei_vrp", "display version | include x", False),
        ("huawei_vrp", "display version > flash:/x", False),
        ("huawei_vrp", "display version\nreboot", False),
        ("huawei_vrp", "display versionx", False),
        ("huawei_vrp", "reboot", False),
        ("huawei_vrp", "system-view", False),
        ("huawei_vrp", "display  version", False),
        ("cisco_ios", "show running-config", False),
        ("cisco_ios", "show interfaces status", True),
        ("cisco_ios", "sh ver", False),
        ("linux", "cat /proc/uptime", True),
        ("linux", "cat /proc/uptime /etc/shadow", False),
        ("linux", "df -P", True),
        ("linux", "systemctl is-active sshd.service", True),
        ("linux", "uptime; reboot", False),
        ("linux", "uptime $(reboot)", False),
        ("linux", "", False),
        ("nonsense", "uptime", False),
    ],
)
def test_only_reading_is_allowed(platform: str, command: str, allowed: bool, tmp_path: Path) -> None:
    site, device = one_device(tmp_path, credentials=ssh_credentials(platform=platform))
    profile = Profile("campus", "switch", (Step("ssh", "shell", "cli", {"commands": [command]}),))
    if allowed:
        assert len(compile_plan(site, device, profile).steps) == 1
    else:
        with pytest.raises(StepError) as caught:
            compile_plan(site, device, profile)
        assert (caught.value.profile, caught.value.step) == ("campus", "cli") and caught.value.key in (
            "commands[0]",
            "platform",
        )


def test_without_credentials_the_step_is_left_out(tmp_path: Path) -> None:
    for credentials in (None, Credentials("snmp-only")):
        site, device = one_device(tmp_path, credentials=credentials)
        plan = compile_plan(site, device, Profile("campus", "switch", (Step("ssh", "shell", "cli", {"nonsense": 1}),)))
        assert not plan.steps and plan.left_out[0].reason is Reason.NO_CREDENTIALS
