"""Packet loss on loopback addresses by nftables: a table of our own, gone when the test is over. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

PROGRAM = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class Firewall:
    """One nftables table; `cut` drops all that goes to these addresses, `lose` a share of it at random."""

    table: str

    def _nft(self, *words: str) -> None:
        assert PROGRAM is not None
        subprocess.run([PROGRAM, *words], check=True, capture_output=True)

    def cut(self, addresses: Sequence[str]) -> None:
        """Drop every packet to these addresses (answers included, for they come from there)."""
        self._nft("add", "element", "inet", self.table, "dark", f"{{ {', '.join(addresses)} }}")

    def mend(self, addresses: Sequence[str]) -> None:
        """Let packets to these addresses through again."""
        self._nft("delete", "element", "inet", self.table, "dark", f"{{ {', '.join(addresses)} }}")

    def lose(self, percent: int, prefix: str) -> None:
        """Drop this share of the packets to the prefix, each at random."""
        rule = f"ip daddr {prefix} numgen random mod 100 < {percent} drop"
        self._nft("add", "rule", "inet", self.table, "input", *rule.split())


@contextmanager
def firewall(table: str) -> Iterator[Firewall]:
    """Give a firewall of this name; skip where nftables cannot be had."""
    if PROGRAM is None:
        pytest.skip("nftables is not installed")
    if os.geteuid() != 0:
        pytest.skip("nftables needs root")
    wall = Firewall(table)
    script = f"""
        table inet {table} {{
            set dark {{ type ipv4_addr; }}
            chain input {{ type filter hook input priority 0; ip daddr @dark drop; ip saddr @dark drop; }}
        }}"""
    done = subprocess.run([PROGRAM, "-f", "-"], input=script, text=True, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"nftables refuses: {done.stderr.strip()[:100]}")
    try:
        yield wall
    finally:
        subprocess.run([PROGRAM, "delete", "table", "inet", table], check=False, capture_output=True)
