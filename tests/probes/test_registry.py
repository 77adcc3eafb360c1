"""From a profile to questions: options refused, steps left out, and a guard that nothing passes."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import cast

import pytest

from config.profile import Profile, Step
from config.site import Credentials, SnmpCredentials
from kit.asking import bare_net, one_device, ssh_credentials
from probes.guard import Guarded
from probes.net import Net
from probes.outcome import Outcome, Question
from probes.reason import Reason
from probes.registry import NEEDS, PROBES, StepError, compile_plan, compile_steps
from probes.step import OptionError, Options


class Panic(BaseException):
    """What native code raises."""


class Raising:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        raise self.error


def guarded(error: BaseException) -> Guarded:
    return Guarded(cast(Question, Raising(error)), "core-1", "cpu")


@pytest.mark.parametrize("error", [Panic("30 84 00"), ValueError("x"), RecursionError(), MemoryError(), StopAsyncIteration()])
async def test_whatever_a_question_raises_becomes_an_outcome(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    async with bare_net() as net:
        for times in (1, 2):
            outcome = await guarded(error).ask(net, 1)
            assert outcome.reason is Reason.INTERNAL and outcome.detail == type(error).__name__
            assert net.internal_errors["cpu"] == times
    record = caplog.records[0]
    assert record.exc_info is not None and "core-1" in record.getMessage() and record.levelno == logging.ERROR


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
async def test_the_ways_to_end_pass_the_guard(error: BaseException) -> None:
    async with bare_net() as net:
        with pytest.raises(type(error)):
            await guarded(error).ask(net, 1)
        assert net.internal_errors.total() == 0


def plan_of(path: Path, *steps: Step, **fields):
    site, device = one_device(path, **fields)
    return compile_plan(site, device, Profile("campus", "switch", steps))


def test_every_probe_of_the_registry_can_be_loaded(tmp_path: Path) -> None:
    for name in PROBES:
        with pytest.raises(StepError) as caught:
            plan_of(tmp_path, Step(name, "state", "odd", {"no-such-option": 1}), credentials=everything())
        assert (caught.value.profile, caught.value.step) == ("campus", "odd"), name


def everything() -> Credentials:
    shell = ssh_credentials().ssh
    return Credentials("all", snmp=SnmpCredentials("2c"), ssh=shell)


def test_an_unknown_probe_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        plan_of(tmp_path, Step("snmpget", "state", "cpu"))
    assert caught.value.key == "probe" and "icmp" in caught.value.text and "snmp_get" in str(caught.value)


def test_steps_without_their_credentials_are_left_out_with_a_reason(tmp_path: Path) -> None:
    steps = [Step(probe, "state", probe) for probe in NEEDS]
    plan = plan_of(tmp_path, Step("tcp", "state", "port"), *steps)
    assert [compiled.step.name for compiled in plan.steps] == ["port"]
    assert {(left.step.probe, left.reason) for left in plan.left_out} == {(probe, Reason.NO_CREDENTIALS) for probe in NEEDS}
    assert all("core-1" in left.text for left in plan.left_out)
    site, device = one_device(tmp_path)
    assert compile_steps(site, device, Profile("campus", "switch", tuple(steps))) == []


def test_an_unknown_option_comes_with_the_nearest_known_one() -> None:
    options = Options(Step("tcp", "state", "x", {"prot": 1}))
    options.integer("port", 1, 1, 9)
    with pytest.raises(OptionError, match="did you mean port"):
        options.done()


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (lambda o: o.integer("k", 1, 1, 9), True),
        (lambda o: o.integer("k", 1, 1, 9), 10),
        (lambda o: o.integer("k", 1, 1, 9), 1.5),
        (lambda o: o.number("k", 1, 0, 9), float("nan")),
        (lambda o: o.number("k", 1, 0, 9), "1"),
        (lambda o: o.flag("k", True), "true"),
        (lambda o: o.text("k"), 5),
        (lambda o: o.text("k", choices=("a",)), "b"),
        (lambda o: o.texts("k"), [1]),
        (lambda o: o.integers("k", (), 1, 9), [1, "2"]),
    ],
)
def test_options_of_the_wrong_kind_are_refused(read, value: object) -> None:
    with pytest.raises(OptionError) as caught:
        read(Options(Step("tcp", "state", "x", {"k": value})))
    assert caught.value.key == "k" and caught.value.text


async def test_a_net_opens_and_closes_its_engines_again_and_again() -> None:
    for _ in range(3):
        async with Net() as net:
            assert net.icmp.in_flight == 0 and net.snmp is not None
            assert await net.in_thread(lambda: 41) == 41
