"""The keyboard and the screen of one session, between netmiko and the encrypted channel.

Everything netmiko types passes a closed list; everything the device shows is counted, watched for questions and kept, up to a
cap. netmiko would answer some questions by itself (change the password? N; security risks in the configuration file? Y, and
save it): here nobody answers a question, the session ends with the reason PROMPT.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from netmiko.channel import SSHChannel
from paramiko import Channel

from config.language import _
from probes.reason import Reason
from probes.ssh import screen
from probes.ssh.failure import SessionEnded
from probes.text import clean

MOST_OUTPUT_BYTES = 1 << 20
MOST_LINES = 50_000
CHUNK_BYTES = 32 << 10
QUIET_S = 0.04  # so long without a byte ends one reading
GATHER_S = 0.5
QUESTION_QUIET_S = 0.8  # a line that looks like a question is one if nothing follows it for so long
DETAIL_LIMIT = 120
RETURNS = frozenset({"\n", "\r", "\r\n"})


class Console(SSHChannel):
    """What netmiko reads from and writes to."""

    def __init__(
        self, channel: Channel, allowed: frozenset[str], prompt: str, monotonic: Callable[[], float], ends: float, secret: str
    ) -> None:
        """Watch a channel until `ends` (monotonic seconds). `allowed` are the lines that may be typed, `prompt` a pattern."""
        super().__init__(conn=channel, encoding="utf-8")
        self._channel = channel
        self._allowed = allowed
        self._prompt = prompt
        self._monotonic = monotonic
        self._ends = ends
        self._secret = secret
        self._raw = bytearray()  # since the last command
        self._received = 0
        self._lines = 0
        self._heard_at = monotonic()

    def wait_for_prompt(self) -> None:
        """Read until the device shows its first prompt; what stands before it (banner, message of the day) is dropped.

        Raises:
            SessionEnded: it asks something instead, says too much, closes, or the deadline passes.
        """
        while True:
            self.read_buffer()
            if screen.is_prompt(self._tail(), self._prompt):
                self._raw.clear()
                return
            time.sleep(0.01)

    def output(self, command: str, prompt: str) -> str:
        """Return what the device has shown since `command` was typed."""
        return screen.command_output(bytes(self._raw), command, prompt)

    def write_channel(self, out_data: str) -> None:
        """Type one line that is on the list, unless the device is asking something.

        Raises:
            SessionEnded: PROMPT.
        """
        self._check()
        if screen.is_question(self._tail()):
            self._asked()
        line = out_data.rstrip("\r\n")
        if out_data not in RETURNS and line not in self._allowed:
            raise SessionEnded(Reason.PROMPT, _("would have to type what is not on the list of commands"))
        if line:
            self._raw.clear()
        self._channel.settimeout(max(0.05, self._ends - self._monotonic()))
        self._channel.sendall(out_data.encode())

    def read_buffer(self) -> str:
        """Return what has arrived (all that comes without a pause), "" if nothing has.

        Raises:
            SessionEnded: TIMEOUT, TOO_BIG, PROMPT, or PROTOCOL where the device closed the session.
        """
        self._check()
        if not self._channel.recv_ready():
            self._judge_silence()
            return ""
        data = self._gather()
        self._raw += data
        if screen.is_pager(self._tail()):
            self._channel.sendall(b" ")
        return data.decode(self.encoding, "ignore")

    def _gather(self) -> bytes:
        parts = bytearray()
        began = now = self._monotonic()
        while now - began < GATHER_S and now < self._ends:
            if self._channel.recv_ready():
                data = self._channel.recv(CHUNK_BYTES)
                if not data:
                    break
                parts += data
                self._heard_at = now
                self._count(data)
            elif now - self._heard_at >= QUIET_S or self._channel.closed:
                break
            else:
                time.sleep(0.005)
            now = self._monotonic()
        return bytes(parts)

    def _count(self, data: bytes) -> None:
        self._received += len(data)
        self._lines += data.count(b"\n")
        if self._received > MOST_OUTPUT_BYTES or self._lines > MOST_LINES:
            raise SessionEnded(
                Reason.TOO_BIG, _("more than {most} bytes or {lines} lines").format(most=MOST_OUTPUT_BYTES, lines=MOST_LINES)
            )

    def _check(self) -> None:
        if self._monotonic() >= self._ends:
            raise SessionEnded(Reason.TIMEOUT, _("no prompt in time"))
        if (self._channel.closed or self._channel.eof_received) and not self._channel.recv_ready():
            raise SessionEnded(Reason.PROTOCOL, _("the device closed the session"))

    def _judge_silence(self) -> None:
        if self._monotonic() - self._heard_at > QUESTION_QUIET_S and screen.is_question(self._tail()):
            self._asked()

    def _asked(self) -> None:
        shown = self._tail()
        if self._secret:
            shown = shown.replace(self._secret, "<secret>")
        raise SessionEnded(Reason.PROMPT, _("the device asks: {question}").format(question=clean(shown, DETAIL_LIMIT)))

    def _tail(self) -> str:
        return screen.last_line(bytes(self._raw[-4 * screen.LINE_LIMIT :]).decode(self.encoding, "replace"))
