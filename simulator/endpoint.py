"""One device as the network sees it: its model, its MIB, and whether it answers at the moment."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from simulator.mib import Mib
from simulator.model import Model
from simulator.spec import CredentialsSpec


@dataclass(slots=True)
class Endpoint:
    """What the sockets ask before they answer. `loss` is the share of datagrams that go unanswered."""

    model: Model
    mib: Mib
    credentials: CredentialsSpec
    random: random.Random = field(repr=False)
    silent: bool = False
    loss: float = 0.0

    def drops(self) -> bool:
        """Return whether this one datagram is lost. Costs a comparison while the line is good."""
        return self.silent or (self.loss > 0 and self.random.random() < self.loss)
