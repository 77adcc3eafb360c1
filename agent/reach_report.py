"""The samples of reachability: every 30 s and at each transition, with keys made once. Decides nothing."""

from __future__ import annotations

import zlib

from agent.watch import Watch
from config.site import Device, Site
from probes.labels import base_labels
from probes.reason import Reason
from probes.sample import ReachState, Run, series_key

EVERY_S = 30.0


class Report:
    """One device's samples: device_up, device_suspect and, where ICMP is asked, icmp_rtt_seconds and icmp_loss_ratio."""

    __slots__ = ("_keys", "_loss", "_next", "_phase", "_up")

    def __init__(self, site: Site, device: Device) -> None:
        labels = base_labels(site, device)
        keys = [series_key(m, labels) for m in ("device_up", "device_suspect", "icmp_loss_ratio", "icmp_rtt_seconds")]
        self._keys = b"\n".join(keys)
        self._up = len(keys[0]) + 1 + len(keys[1])  # how much of them is those of the first two
        self._loss = self._up + 1 + len(keys[2])
        self._phase = zlib.crc32(device.name.encode()) % 3000 / 100  # spreads the devices over the half minute
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Return whether the half minute is over."""
        return now >= self._next

    def run(self, watch: Watch, at: int, now: float) -> Run | None:
        """Return the samples as they stand, None while nothing can be said."""
        self._next = ((now - self._phase) // EVERY_S + 1) * EVERY_S + self._phase
        if watch.state is None or watch.state is ReachState.UNKNOWN:
            return None
        up = watch.state is not ReachState.DOWN
        values = [float(up), float(watch.state is ReachState.SUSPECT)]
        used = self._up
        if "icmp" in watch.methods and watch.asked:
            used = self._loss
            values.append(watch.loss)
            if up and watch.echo_s is not None and watch.method == "icmp":
                used = len(self._keys)
                values.append(watch.echo_s)
        return Run(watch.name, "reach", at, watch.rtt_s, Reason.OK if up else Reason.TIMEOUT, self._keys[:used], values)
