"""A real OpenSSH server and a real shell behind it."""

from __future__ import annotations

from pathlib import Path

from kit.asking import bare_net, one_device, question, ssh_credentials
from kit.sshd import Sshd, real_sshd
from probes.reason import Reason


async def ask(path: Path, server: Sshd, *commands: str, timeout_s: float = 15, **fields):
    given = {"username": server.user, "platform": "linux", "port": server.port, "key_file": server.key_file}
    credentials = ssh_credentials(**(given | {"known_hosts": server.known_hosts} | fields))
    site, device = one_device(path, address=server.address, credentials=credentials)
    async with bare_net() as net:
        return await question(site, device, "ssh", commands=list(commands)).ask(net, timeout_s)


async def test_a_real_shell_answers(tmp_path: Path) -> None:
    with real_sshd(tmp_path, "127.0.0.9") as server:
        outcome = await ask(tmp_path, server, "cat /proc/loadavg", "uname -a")
        assert outcome.reason is Reason.OK, outcome
        facts = dict(outcome.facts)
        assert facts["ssh:uname -a"].startswith("Linux ") and len(facts["ssh:cat /proc/loadavg"].split()) == 5
        refused = await ask(tmp_path, server, username="nobody-here")
        assert refused.reason is Reason.AUTH
        unknown = await ask(tmp_path, server, known_hosts=tmp_path / "none")
        assert unknown.reason is Reason.HOST_KEY_UNKNOWN
        no_key = await ask(tmp_path, server, key_file=tmp_path / "absent")
        assert no_key.reason is Reason.NO_CREDENTIALS


async def test_only_old_ciphers_of_a_real_server_are_refused(tmp_path: Path) -> None:
    with real_sshd(tmp_path, "127.0.0.9", "Ciphers aes256-cbc", "KexAlgorithms diffie-hellman-group14-sha1") as server:
        assert (await ask(tmp_path, server)).reason is Reason.NO_COMMON_ALGORITHM
        assert (await ask(tmp_path, server, legacy=True)).reason is Reason.OK
