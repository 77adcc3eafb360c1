"""How a device is asked whether it is there: what is compiled, what is left out, what is shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.reach_method import compile_method, compile_methods
from config.secret import Secret
from config.site import Credentials, SnmpCredentials
from kit.asking import one_device
from probes.snmp.get import GetQuestion

SNMP = Credentials("read-only", snmp=SnmpCredentials("2c", Secret("public", "file:/test")))


def asked(question: Any) -> GetQuestion:
    assert isinstance(question, GetQuestion)
    return question


def test_devices_share_what_the_question_means(tmp_path: Path) -> None:
    site, first = one_device(tmp_path, credentials=SNMP)
    second = replace(first, name="core-2", address="127.0.0.2")
    one, other = (asked(compile_method(site, device, "snmp")) for device in (first, second))
    assert one._recorder.objects is other._recorder.objects
    assert one._parts[0] is other._parts[0]


def test_what_cannot_be_asked_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site, device = one_device(tmp_path)
    assert compile_methods(site, device, ("icmp", "snmp", "tcp:443", "smoke")).keys() == {"tcp:443"}
    assert "unknown reach method 'smoke'" in caplog.text
