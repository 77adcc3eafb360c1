"""The three judgements behind a verdict: does anyone else answer, is the agent blind, is the way to the device dark. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from agent.watch import Phase, Watch
from probes.sample import ReachState

if TYPE_CHECKING:
    from agent.reach import Reach

LEAST_ROOTS = 3  # independent devices that must be silent together before the agent doubts itself
_SAME_MOMENT_S = 0.3


def ancestors(watch: Watch, watches: Mapping[str, Watch]) -> list[str]:
    """Return the names of all devices on the way to one, nearest first; a ring ends where it closes."""
    found: dict[str, None] = {}
    edge = list(watch.upstreams)
    while edge:
        following: list[str] = []
        for name in edge:
            if name in watches and name not in found and name != watch.name:
                found[name] = None
                following.extend(watches[name].upstreams)
        edge = following
    return list(found)


def is_root(watch: Watch, watches: Mapping[str, Watch]) -> bool:
    """Return whether nothing that is watched lies between the agent and the device."""
    return not any(name in watches for name in watch.upstreams)


def quiet(roots: list[Watch], most: int) -> list[Watch]:
    """Return up to `most` roots that are not being checked themselves."""
    return list(islice((root for root in roots if root.phase is Phase.QUIET and root.methods), most))


def others_answer(watch: Watch, reach: Reach) -> bool:
    """Return whether anyone answered an ask sent since the last one to this silent device.

    Where there is nobody to compare with, only a missing route of this machine speaks against the device's own fault.
    """
    if len(reach.watches) + len(reach.witnesses) == 1:
        return not watch.unreachable
    return reach.last_good >= watch.last_ask - _SAME_MOMENT_S


def is_blind(reach: Reach) -> bool:
    """Judge, when nobody answers at all, whether it is the agent that is cut off.

    Witnesses decide if any ever answered (or nobody ever did, and they were configured); else the silence of three or more
    independent devices; else that asks cannot even be sent.
    """
    anyone = any(watch.ever for watch in reach.watches.values())
    if any(witness.ever or witness.recalled for witness in reach.witnesses) or (reach.references and not anyone):
        return True
    roots = [root for root in reach.roots if root.state is not ReachState.DOWN and root.methods]
    return len(roots) >= LEAST_ROOTS or (bool(roots) and all(root.unreachable for root in roots))


def upstream(watch: Watch, watches: Mapping[str, Watch], over: bool, quite_over: bool) -> str | None:
    """Return the dark upstream a silent device is behind, "" if it is silent for itself, None while that cannot be said.

    Every way must be dark for "behind". `over`: wait only for a way that is being checked; `quite_over`: for nothing.
    """
    ways = [watches[name] for name in watch.upstreams if name in watches]
    via, undecided, checked = "", 0, 0
    for way in ways:
        if way.state is ReachState.DOWN and way.phase is not Phase.RETURNING:
            via = via or way.name
        elif way.last_good >= watch.last_ask:
            return ""
        else:
            undecided += 1
            checked += way.phase in (Phase.BURST, Phase.WAITING)
    if (undecided and not over) or (checked and not quite_over):
        return None
    return via
