"""The question `ssh`: log in once, ask read-only commands, keep what they say as facts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from config.language import _
from config.profile import Step
from config.site import Device, Site, SshCredentials
from probes.connect import ConnectFailed, connect
from probes.labels import base_labels
from probes.outcome import Outcome
from probes.reason import Reason
from probes.sample import series_key
from probes.ssh.commands import PLATFORMS, is_allowed
from probes.step import OptionError, Options
from probes.text import clean

if TYPE_CHECKING:
    from probes.net import Net
    from probes.ssh.session import Login, Result

OUTPUT_LIMIT = 8 << 10
GRACE_S = 0.1


def compile_ssh(site: Site, device: Device, step: Step) -> SshQuestion:
    """Compile a step. Options: `commands` (read-only; none: log in only), `platform` (else the credentials').

    Raises:
        OptionError: an unknown platform, a command that is not on its list, no SSH credentials.
    """
    credentials = device.credentials.ssh if device.credentials is not None else None
    if credentials is None:
        raise OptionError("", _("needs ssh credentials"))
    options = Options(step)
    platform = options.text("platform", credentials.platform)
    commands = options.texts("commands")
    options.done()
    if platform not in PLATFORMS:
        raise OptionError("platform", _("must be one of {choices}").format(choices=", ".join(PLATFORMS)))
    for number, command in enumerate(commands):
        if not is_allowed(platform, command):
            text = _("{command!r} is not a read-only command known for {platform}").format(command=command, platform=platform)
            raise OptionError(f"commands[{number}]", text)
    port = device.ports.get("ssh", credentials.port)
    known_hosts = credentials.known_hosts or Path(site.path).parent / "known_hosts"
    key = series_key("ssh_login_seconds", base_labels(site, device))
    return SshQuestion(device.address, port, credentials, platform, commands, known_hosts, key)


class SshQuestion:
    """One session. Sample: ssh_login_seconds (from the first packet to the first prompt). Facts: ``ssh:<command>``."""

    __slots__ = ("_account", "_commands", "_credentials", "_key", "_known_hosts", "_platform")

    def __init__(
        self,
        host: str,
        port: int,
        credentials: SshCredentials,
        platform: str,
        commands: tuple[str, ...],
        known_hosts: Path,
        key: bytes,
    ) -> None:
        self._account = (host, port, credentials.username)
        self._credentials = credentials
        self._platform = platform
        self._commands = commands
        self._known_hosts = known_hosts
        self._key = key

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Connect, log in and ask within `timeout_s` seconds in all; a refused login is not repeated for 15 minutes."""
        waits_s = net.backoff.waits_s(self._account)
        if waits_s > 0:
            detail = _("login was refused; next try in {minutes} min").format(minutes=int(waits_s // 60) + 1)
            return Outcome(Reason.BACKING_OFF, net.clock.now(), detail=detail)
        begins = net.clock.monotonic()
        host, port, _username = self._account
        try:
            sock, phases = await connect(net, host, port, timeout_s)
        except ConnectFailed as failure:
            return Outcome(failure.reason, net.clock.now(), phases=failure.phases)
        from probes.ssh.session import Session  # netmiko takes half a second to import: only where it is used

        session = Session(sock, self._login(), self._commands, net.clock, begins + timeout_s)
        try:
            left_s = begins + timeout_s - net.clock.monotonic()
            result = await asyncio.wait_for(net.in_thread(session.run), max(0.0, left_s) + GRACE_S)
        except TimeoutError:
            return Outcome(Reason.TIMEOUT, net.clock.now(), detail=_("no session in time"), phases=phases)
        finally:
            session.abort()
        return self._outcome(net, result, begins, phases)

    def _outcome(self, net: Net, result: Result, begins: float, phases: dict[str, float]) -> Outcome:
        if result.login_refused:
            net.backoff.refused(self._account)
        keys = b""
        values: tuple[float, ...] = ()
        if result.logged_in_at:
            net.backoff.accepted(self._account)
            phases = {**phases, "login": result.logged_in_at - begins}
            keys, values = self._key, (result.logged_in_at - begins,)
        facts = tuple((f"ssh:{command}", _gated(output)) for command, output in result.outputs)
        return Outcome(result.reason, net.clock.now(), keys, values, result.detail, facts, phases)

    def _login(self) -> Login:
        from probes.ssh.session import Login

        host, port, username = self._account
        given = self._credentials
        return Login(
            host=host,
            port=port,
            username=username,
            platform=self._platform,
            known_hosts=self._known_hosts,
            password=given.password,
            key_file=given.key_file,
            trust_first_use=given.trust_first_use,
            legacy=given.legacy,
        )


def _gated(output: str) -> str:
    """Return an output with each line through the gate, line feeds kept, 8 KB at most."""
    kept: list[str] = []
    room = OUTPUT_LIMIT
    for line in output.split("\n"):
        if room <= 0:
            break
        shown = clean(line, room)
        kept.append(shown)
        room -= len(shown) + 1
    return "\n".join(kept)
