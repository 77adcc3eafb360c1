"""One session, in a thread of its own: handshake, host key, one login, prompt, commands, end. Never raises.

A deadline is kept in three ways: every wait gets only the time that is left, the console looks at the clock at each read, and
`abort` (called from outside) closes the socket under whatever still waits.
"""

from __future__ import annotations

import logging
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

import netmiko
import paramiko
from netmiko.ssh_dispatcher import CLASS_MAPPER

from config.clock import Clock
from config.language import _
from config.secret import Secret
from probes.reason import Reason
from probes.ssh.commands import PLATFORMS
from probes.ssh.console import DETAIL_LIMIT, Console
from probes.ssh.failure import SessionEnded, reason_of
from probes.ssh.hostkeys import KnownHosts
from probes.ssh.transport import MOST_RECEIVED_BYTES, WINDOW_BYTES, CappedSocket, LegacyTransport, StrictTransport
from probes.text import clean

log = logging.getLogger(__name__)

WIDTH, HEIGHT = 511, 1000
_PASSWORD = re.compile(r"pass ?(?:word|phrase|code)|密码", re.IGNORECASE)
_OTHER = re.compile(r"new|change|expired|again|retype|re-enter|confirm|one.?time|token|otp|verification|新", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom to log in, and which host keys and algorithms are accepted."""

    host: str
    port: int
    username: str
    platform: str
    known_hosts: Path
    password: Secret | None = None
    key_file: Path | None = None
    trust_first_use: bool = False
    legacy: bool = False


@dataclass(slots=True)
class Result:
    """How a session ended, and what it brought until then."""

    reason: Reason = Reason.OK
    detail: str = ""
    login_refused: bool = False
    logged_in_at: float = 0.0  # monotonic seconds when the first prompt stood there; 0: never
    outputs: list[tuple[str, str]] = field(default_factory=list)  # command, output


class Session:
    """A login and its commands over a connected socket, which is closed in the end in any case."""

    def __init__(self, sock: socket.socket, login: Login, commands: tuple[str, ...], clock: Clock, ends: float) -> None:
        """Take over a connected socket; `ends` is the deadline in monotonic seconds."""
        self._sock = CappedSocket(sock)
        self._login = login
        self._commands = commands
        self._monotonic = clock.monotonic
        self._ends = ends
        self._aborted = False
        self._at_login = False
        self._result = Result()
        self._secret = login.password.reveal() if login.password is not None else ""

    def abort(self) -> None:
        """Close the socket now; the session ends at once as TIMEOUT, whatever it was waiting for. From any thread."""
        self._aborted = True
        self._sock.close()

    def run(self) -> Result:
        """Do it all. Every exception of the libraries below becomes a reason; one that is not theirs is INTERNAL."""
        transport: StrictTransport | None = None
        try:
            if not self._aborted:
                transport = (LegacyTransport if self._login.legacy else StrictTransport)(self._sock)
                self._work(transport)
        except Exception as error:  # noqa: BLE001  a session never raises: what is not the libraries' becomes INTERNAL
            self._end(error)
        finally:
            if transport is not None:
                transport.close()
            self._sock.close()
        if self._aborted and self._result.reason is not Reason.OK:
            self._result.reason, self._result.login_refused = Reason.TIMEOUT, False
        return self._result

    def _end(self, error: Exception) -> None:
        result = self._result
        result.reason = reason_of(error) or Reason.INTERNAL
        result.detail = error.detail if isinstance(error, SessionEnded) else type(error).__name__
        if self._left() <= 0 or self._aborted:
            result.reason = Reason.TIMEOUT
        elif self._sock.exhausted:
            result.reason, result.detail = Reason.TOO_BIG, _("more bytes than a session may bring")
        elif result.reason is Reason.AUTH:
            result.login_refused = self._at_login
        elif result.reason is Reason.INTERNAL:
            log.error("ssh session with %s failed", self._login.host, exc_info=error)

    def _work(self, transport: StrictTransport) -> None:
        transport.secret = self._secret
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = self._left() + 1
        known = KnownHosts(self._login.known_hosts)
        transport.prefer_keys(known.key_types(self._login.host, self._login.port))
        transport.start_client(timeout=self._left())
        known.check(self._login.host, self._login.port, transport.get_remote_server_key(), self._login.trust_first_use)
        self._authenticate(transport)
        self._sock.allow(MOST_RECEIVED_BYTES)
        channel = transport.open_session(window_size=WINDOW_BYTES, timeout=self._left())
        channel.get_pty(term="vt100", width=WIDTH, height=HEIGHT)
        channel.invoke_shell()
        self._converse(channel)

    def _authenticate(self, transport: StrictTransport) -> None:
        """Offer one thing once: the key where there is one, else the password. A refusal is never followed by another try."""
        login = self._login
        self._at_login = True
        if login.key_file is not None:
            transport.auth_publickey(login.username, _load_key(login.key_file, self._secret))
        elif login.password is not None:
            self._offer_password(transport)
        else:
            raise SessionEnded(Reason.NO_CREDENTIALS, _("neither password nor key_file"))
        if not transport.is_authenticated():
            raise paramiko.AuthenticationException("a further step is asked for")
        self._at_login = False

    def _offer_password(self, transport: StrictTransport) -> None:
        """Give the password once: as one, or as the answer to the server's one question where it takes it no other way."""
        username = self._login.username
        try:
            transport.auth_password(username, self._secret, fallback=False)
        except paramiko.BadAuthenticationType as error:
            if "keyboard-interactive" not in error.allowed_types:
                raise
            transport.answer_questions(username, _OneAnswer(self._secret))
        except paramiko.AuthenticationException:
            raise
        except paramiko.SSHException as error:
            if "info request" not in str(error):  # paramiko's words for SSH_MSG_USERAUTH_PASSWD_CHANGEREQ (RFC 4252 section 8)
                raise
            raise SessionEnded(Reason.PROMPT, _("the server wants the password changed")) from error

    def _converse(self, channel: paramiko.Channel) -> None:
        platform = PLATFORMS[self._login.platform]
        allowed = frozenset((*platform.preparation, *self._commands))
        console = Console(channel, allowed, platform.prompt, self._monotonic, self._ends, self._secret)
        console.wait_for_prompt()
        self._result.logged_in_at = self._monotonic()
        if not self._commands:
            return
        terminal = _terminal(self._login, console, self._left())
        try:
            prompt = terminal.find_prompt()
            expected = rf"(?:^|\n)[ \t]*{re.escape(prompt)}[ \t]*\Z"
            for command in self._commands:
                terminal.send_command(command, expect_string=expected, read_timeout=self._left(), cmd_verify=False)
                output = console.output(command, prompt)
                self._result.outputs.append((command, output.replace(self._secret, "<secret>") if self._secret else output))
        finally:
            terminal.disconnect()

    def _left(self) -> float:
        return self._ends - self._monotonic()


class _OneAnswer:
    """Answers the first question for a password, and no other (a new password, a one-time code)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._given = False

    def __call__(self, title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        """Return the answers to keyboard-interactive questions (RFC 4256).

        Raises:
            SessionEnded: PROMPT, a question that nobody may answer.
        """
        if not questions:
            return []
        shown = " ".join(text for text, _echo in questions)
        if self._given or len(questions) != 1 or questions[0][1] or not _PASSWORD.search(shown) or _OTHER.search(shown):
            text = clean(shown.replace(self._secret, "<secret>"), DETAIL_LIMIT)
            raise SessionEnded(Reason.PROMPT, _("the server asks: {question}").format(question=text))
        self._given = True
        return [self._secret]


def _terminal(login: Login, console: Console, left_s: float) -> netmiko.BaseConnection:
    """Return netmiko's terminal for a platform, on our console: it prepares the session (width, paging) and finds the prompt.

    It never logs in, answers no question, raises no privilege and says no good-bye; the password is not known to it. Its
    debug log holds whole conversations, so it is kept at warnings.
    """
    logging.getLogger("netmiko").setLevel(logging.WARNING)
    base = CLASS_MAPPER[login.platform]

    class Terminal(base):  # type: ignore[misc,valid-type]
        def establish_connection(self, width: int = WIDTH, height: int = HEIGHT) -> None:
            self.remote_conn, self.channel, self.ansi_escape_codes = console.remote_conn, console, True
            self.remote_conn_pre = None

        def special_login_handler(self, delay_factor: float = 1.0) -> None:
            """Answer nothing."""

        def enable(self, *_args: object, **_kwargs: object) -> str:
            """Stay as unprivileged as the login is."""
            return ""

        def disconnect(self) -> None:
            """Type nothing; the socket is closed by the session."""
            netmiko.log.removeFilter(self._secrets_filter)

    return Terminal(
        host=login.host, device_type=login.platform, read_timeout_override=max(0.1, left_s), global_cmd_verify=False
    )


def _load_key(path: Path, passphrase: str) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path, passphrase.encode() if passphrase else None)
    except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType, TypeError) as error:
        text = _("{path} is no usable private key: {error}").format(path=path, error=type(error).__name__)
        raise SessionEnded(Reason.NO_CREDENTIALS, text) from error
