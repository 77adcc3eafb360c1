"""Which series are missing only because nobody answered, from what lanes said last. Implements `rules.hearing.Hearing`.

Asked only about alerts whose condition is not seen any more: about 2 us for each series of the device's lanes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from collector.lanes import Lanes, Word
from probes.sample import ReachState, parse_key
from rules.source import LOOKBACK_MS, Labels

VERDICTS = frozenset({"device_up", "device_suspect"})  # no lane says them


class LaneHearing:
    """Reads the lanes of one site."""

    def __init__(self, lanes: Lanes) -> None:
        """Read from these."""
        self._lanes = lanes

    def unheard(self, metrics: Collection[str], labels: Labels, at: int) -> bool:
        """Say if some of these series are missing as of `at` (ms) because their lane failed, or their device is down."""
        if VERDICTS.issuperset(metrics):
            return False
        wanted = dict(labels)
        for lane, word in self._words(wanted):
            if word.missing and _any(word.missing, metrics, wanted):
                return True
            if word.back_at > at and _any(word.missed, metrics, wanted):
                return True
            old = at - word.good_at > max(LOOKBACK_MS, self._lanes.patience_ms(lane))
            if old and not word.missing and _any(word.rows.keys, metrics, wanted):
                return True
        return False

    def silent(self, labels: Labels) -> bool:
        """Say if the device of these labels is not up, or one of its lanes has not answered well last."""
        device = dict(labels).get("device", "")
        if not self._lanes.knows(device):
            return False
        lanes = self._lanes.lanes_of.get(device, ())
        up = self._lanes.state(device) in (ReachState.UP, ReachState.SUSPECT)
        return not (up and lanes and all(self._lanes.words[device, lane].good for lane in lanes))

    def _words(self, labels: Mapping[str, str]) -> Iterator[tuple[str, Word]]:
        """Yield the lanes that labels may be about: of their device, or all if they name none."""
        device = labels.get("device")
        if device is None:
            yield from ((lane, word) for (_, lane), word in self._lanes.words.items())
            return
        for lane in self._lanes.lanes_of.get(device, ()):
            yield lane, self._lanes.words[device, lane]


def _any(keys: Iterable[bytes], metrics: Collection[str], labels: Mapping[str, str]) -> bool:
    """Say if a key is one of these metrics and contradicts none of the labels."""
    for key in keys:
        if key.partition(b"{")[0].decode() in metrics:
            _, pairs = parse_key(key)
            if all(labels.get(name, text) == text for name, text in pairs):
                return True
    return False
