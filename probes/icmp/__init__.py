"""ICMP echo: one shared socket for each address family, thousands of probes in flight, no coroutine for each."""

from probes.icmp.channel import Done
from probes.icmp.echo import Echo
from probes.icmp.engine import IcmpEngine

__all__ = ["Done", "Echo", "IcmpEngine"]
