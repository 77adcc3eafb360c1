"""Fixtures for every folder of tests; what they start lives in `kit`."""

from __future__ import annotations

from kit.snmpd import snmpd

__all__ = ["snmpd"]
