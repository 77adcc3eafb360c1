"""One ICMP socket and the probes in flight on it: sends, matches answers, expires. Chooses no targets, opens no sockets.

Cost of a probe: one send, one receive, a slot, an append to the wheel and one call of `done`; no coroutine, no future, no
timer of its own. An answer counts only if address, identifier, sequence and every byte of the payload are those
that were sent. Time is read here on the monotonic clock, never from the packet.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from config.clock import Clock
from probes.icmp import packet
from probes.icmp.expiry import Wheel
from probes.icmp.target import Target
from probes.reason import Reason

log = logging.getLogger(__name__)

Done = Callable[[int, Reason, float], None]
"""Called once for each probe with (index, reason, round trip in seconds)."""

LAST_SEQUENCE = 0xFFFF
MOST_IN_FLIGHT = 30_000
READS_AT_ONCE = 512
READS_BEFORE_EXPIRY = 20_000
NOISE = 10  # random bytes of one probe: 2 of identifier, 8 of token
PADDING = bytes(range(20))
_TRY_AGAIN = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


class Channel:
    """One socket of one family, shared by all probes of that family."""

    def __init__(self, sock: socket.socket, tag: bytes, clock: Clock) -> None:
        """Take over the socket and start reading it on the running loop."""
        self.family = sock.family
        self.raw = sock.type == socket.SOCK_RAW
        self.in_flight = 0
        self.rejected: Counter[str] = Counter()  # datagrams that answered nothing, by why
        self._sock, self._tag = sock, tag
        self._monotonic = clock.monotonic
        # Probes in flight by sequence number, in columns: nothing is allocated for a probe that the garbage collector tracks.
        self._tails: list[bytes | None] = [None] * (LAST_SEQUENCE + 1)  # identifier, sequence, payload; None: free
        self._addresses = [b""] * (LAST_SEQUENCE + 1)
        self._sent_at = [0.0] * (LAST_SEQUENCE + 1)
        self._indexes = [0] * (LAST_SEQUENCE + 1)
        self._receivers: list[Done] = [_nobody] * (LAST_SEQUENCE + 1)
        self._sequence = 0
        self._wheel: Wheel[bytes] = Wheel()
        self._timer: asyncio.TimerHandle | None = None
        four = self.family == socket.AF_INET
        self._request = packet.request_v4 if four else packet.request_v6
        self._quoted = packet.quoted_v4 if four else packet.quoted_v6
        self._reply = packet.ECHO_REPLY_V4 if four else packet.ECHO_REPLY_V6
        self._errors = packet.ERRORS_V4 if four else packet.ERRORS_V6
        self._own = (
            4 if self.raw else 6
        )  # from here on an answer equals its request; a ping socket's identifier is the kernel's
        self._drain = self._drain_raw_v4 if four and self.raw else self._drain_any
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self.drain)

    def close(self) -> None:
        """Stop reading, close the socket; probes in flight end as TIMEOUT."""
        self._loop.remove_reader(self._sock)
        self._sock.close()
        if self._timer is not None:
            self._timer.cancel()
        self._end_all(self._wheel.take_all())

    def send(self, target: Target, noise: bytes, timeout_s: float, done: Done, index: int, padding: bytes = PADDING) -> bool:
        """Send one probe with `noise` (10 random bytes); False if it has to wait (buffers full, too many in flight).

        `done` is called exactly once, at the earliest before this returns.
        """
        return self.send_many((index,), (target,), noise, timeout_s, done, padding) == 1

    def send_many(
        self,
        indexes: Sequence[int],
        targets: Sequence[Target],
        noise: bytes,
        timeout_s: float,
        done: Done,
        padding: bytes = PADDING,
    ) -> int:
        """Send one probe to each target, with 10 bytes of `noise` for each; return how many were sent or ended at once.

        Fewer than asked for means: this machine's buffers are full or too many probes are in flight; go on later.
        """
        tails, monotonic, transmit, request, tag = self._tails, self._monotonic, self._sock.sendto, self._request, self._tag
        addresses, sent_at, receivers, numbers = self._addresses, self._sent_at, self._receivers, self._indexes
        sequence, at, end = self._sequence, 0, (MOST_IN_FLIGHT - self.in_flight) * NOISE
        now = monotonic()
        remember = self._wheel.bucket(now + timeout_s).append
        for index, target in zip(indexes, targets, strict=True):
            if at >= end:
                break
            sequence = (sequence + 1) & LAST_SEQUENCE
            while tails[sequence] is not None:
                sequence = (sequence + 1) & LAST_SEQUENCE
            tail = noise[at : at + 2] + sequence.to_bytes(2, "big") + tag + noise[at + 2 : at + NOISE] + padding
            addresses[sequence], numbers[sequence], receivers[sequence] = target[1], index, done
            sent_at[sequence] = monotonic()
            tails[sequence] = tail
            self.in_flight += 1
            try:
                transmit(request(tail), target[2])
            except OSError as error:
                if not self._survives(error, sequence, target):
                    break
            remember(tail)
            at += NOISE
        self._sequence = sequence
        if self._timer is None:
            self._schedule(now)
        return at // NOISE

    def drain(self, most: int = READS_AT_ONCE) -> None:
        """Read what has arrived, at most so many datagrams."""
        if not self.raw:
            self._read_errors()
        self._drain(most)

    def _survives(self, error: OSError, sequence: int, target: Target) -> bool:
        """Deal with a failed send: False (and the slot free again) to try later; else the probe goes on or has ended."""
        failure = error.errno or 0
        if not self.raw and failure not in _TRY_AGAIN:
            failure = self._second_try(self._tails[sequence] or b"", target)
        if failure in _TRY_AGAIN:
            self.rejected["no_buffers"] += failure != errno.EAGAIN
            self._tails[sequence] = None
            self.in_flight -= 1
            return False
        if failure not in (0, errno.EPERM):  # EPERM: a local packet filter drops it; like any loss, that is known by waiting
            self._finish(sequence, Reason.UNREACHABLE, 0.0)
        return True

    def _second_try(self, tail: bytes, target: Target) -> int:
        """Send again: a ping socket reports an earlier probe's error at the next send. Return the errno, 0 for success."""
        self._read_errors()
        try:
            self._sock.sendto(self._request(tail), target.sockaddr)
        except OSError as error:
            return error.errno or 0
        return 0

    def _drain_raw_v4(self, most: int) -> None:
        receive, tails, finish, monotonic, ok = self._sock.recv, self._tails, self._finish, self._monotonic, Reason.OK
        addresses, sent_at = self._addresses, self._sent_at
        for _ in range(most):
            try:
                datagram = receive(2048)
            except OSError:
                return
            if len(datagram) > 28 and datagram[0] == 0x45 and datagram[20] == 0:
                sequence = datagram[26] << 8 | datagram[27]
                if datagram[24:] == tails[sequence] and datagram[12:16] == addresses[sequence]:
                    finish(sequence, ok, monotonic() - sent_at[sequence])
                    continue
            stripped = packet.strip_v4(datagram)
            if stripped is not None:
                self._take(*stripped)

    def _drain_any(self, most: int) -> None:
        for _ in range(most):
            try:
                message, address = self._sock.recvfrom(2048)
            except BlockingIOError:
                return
            except OSError:
                continue  # a pending error of one probe; its details are in the error queue
            if len(message) >= packet.HEADER:
                self._take(message, socket.inet_pton(self.family, address[0].partition("%")[0]))

    def _take(self, message: bytes, source: bytes) -> None:
        kind = message[0]
        if kind in self._errors:
            quoted = self._quoted(message)
            if quoted is not None:
                self._unreachable(quoted.identity, quoted.destination)
            return
        if kind != self._reply:
            return
        sequence = int.from_bytes(message[6:8], "big")
        tail = self._tails[sequence]
        if tail is None:
            self.rejected["unasked"] += 1  # late, twice, or never asked
        elif message[self._own :] != tail[self._own - 4 :]:
            self.rejected["payload"] += 1
        elif source != self._addresses[sequence]:
            self.rejected["source"] += 1
        else:
            self._finish(sequence, Reason.OK, self._monotonic() - self._sent_at[sequence])

    def _unreachable(self, identity: bytes, destination: bytes) -> None:
        sequence = int.from_bytes(identity[2:4], "big")
        tail = self._tails[sequence]
        if tail is None or self._addresses[sequence] != destination or (self.raw and tail[:4] != identity):
            self.rejected["unasked"] += 1
        else:
            self._finish(sequence, Reason.UNREACHABLE, 0.0)

    def _read_errors(self) -> None:
        for _ in range(READS_AT_ONCE):
            try:
                message, _ancillary, _flags, address = self._sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            if len(message) >= packet.HEADER and address:
                self._unreachable(message[4:8], socket.inet_pton(self.family, address[0].partition("%")[0]))

    def _finish(self, sequence: int, reason: Reason, rtt_s: float) -> None:
        self._tails[sequence] = None
        self.in_flight -= 1
        try:
            self._receivers[sequence](self._indexes[sequence], reason, rtt_s)
        except Exception:
            log.exception("the receiver of an echo result failed")

    def _end_all(self, tails: Iterable[bytes]) -> None:
        for tail in tails:
            sequence = tail[2] << 8 | tail[3]
            if self._tails[sequence] is tail:
                self._finish(sequence, Reason.TIMEOUT, 0.0)

    def _schedule(self, now: float) -> None:
        due = self._wheel.next_due()
        self._timer = None if due is None else self._loop.call_later(max(0.0, due - now), self._expire)

    def _expire(self) -> None:
        """End what ran out of time; but first read what had arrived while the loop was busy elsewhere."""
        self.drain(READS_BEFORE_EXPIRY)
        now = self._monotonic()
        self._end_all(self._wheel.take_due(now))
        self._schedule(now)


def _nobody(_index: int, _reason: Reason, _rtt_s: float) -> None:
    """Stand in an empty slot."""
