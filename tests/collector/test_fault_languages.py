"""Faults in two languages: the API speaks the language asked for, else the site's; rules bring their own summaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector import judging
from collector.alarm import Alarm
from collector.fault_json import fault_json
from collector.observation import observed
from collector.sentence import fault_sentence
from collector.store.faults import _alarm as decoded
from collector.words import PROBLEMS, REASONS, reason_shown
from config.language import translate, use
from kit.collecting import START, AgentSide, client, collecting, down, operator, run, site_of, up
from kit.hand_clock import HandClock
from kit.incidents import Incident, device

LAMP = {"effect": "degraded", "summary": "The lamp of pj is past its life", "summary_zh": "pj 灯泡超过使用寿命"}


def lamp(**annotations: str) -> Incident:
    """A projector whose lamp's rule says what the annotations say."""
    i = Incident(device("pj", "projector"))
    i.apply(0, [replace(i.alert(0, "pj", "LampPastLife", severity="minor"), annotations={**LAMP, **annotations})])
    i.run(60)
    return i


def shown(i: Incident, language: str) -> dict[str, Any]:
    view = i.engine.view(i.only.id)
    assert view is not None
    return fault_json(view, language)


def test_the_summary_is_the_rules_own_in_either_language() -> None:
    i = lamp()
    english, chinese = shown(i, "en"), shown(i, "zh-CN")
    assert (english["summary"], chinese["summary"]) == ("The lamp of pj is past its life", "pj 灯泡超过使用寿命")
    assert (english["reason"], chinese["reason"]) == (english["summary"], chinese["summary"])
    assert (english["alarms"][0]["text"], chinese["alarms"][0]["text"]) == (english["summary"], chinese["summary"])
    assert english["problem"] == chinese["problem"] == "lamp-past-life"
    assert (english["level_name"], chinese["level_name"]) == ("class D", "D 类")


@pytest.mark.parametrize(
    ("annotations", "english", "chinese"),
    [
        ({"summary_zh": ""}, "The lamp of pj is past its life", "The lamp of pj is past its life"),
        ({"summary": "灯泡到期", "summary_zh": ""}, "灯泡到期", "灯泡到期"),
        ({"summary": "", "summary_zh": ""}, "lamp past life at pj", "pj 灯泡超过使用寿命"),
        ({"problem": "odd-thing", "summary": "", "summary_zh": ""}, "odd thing at pj", "pj odd thing"),
        ({"problem": "device-down"}, "pj does not answer", "pj 无应答"),
        ({"summary": "{device} {0} %s", "summary_zh": "{count}"}, "{device} {0} %s", "{count}"),
    ],
)
def test_a_summary_that_is_missing(annotations: dict[str, str], english: str, chinese: str) -> None:
    i = lamp(**annotations)
    assert (shown(i, "en")["summary"], shown(i, "zh-CN")["summary"]) == (english, chinese)


def test_what_earlier_versions_stored_has_one_language() -> None:
    alarm = decoded(
        '{"key":{"site":"s","device":"pj","component":"","rule":"R"},"problem":"lamp-past-life","severity":"minor",'
        '"effect":"degraded","text":"The lamp"}'
    )
    assert (alarm.text_in("en"), alarm.text_in("zh-CN")) == ("The lamp", "The lamp")
    assert isinstance(alarm, Alarm)


def test_only_summaries_are_taken_as_languages() -> None:
    i = Incident(device("pj", "projector"))
    change = replace(i.alert(0, "pj"), annotations={**LAMP, "summary_": "", "description_zh": "长", "summary_de": "Lampe"})
    assert observed(change, "north").texts == {"zh": "pj 灯泡超过使用寿命", "de": "Lampe"}


def test_sentences_in_chinese() -> None:
    i = Incident(device("core", role="core"), device("acc", up="core"), device("cam", "camera", [("acc", "Gi1")]))
    i.down(0, "acc", "cam")
    i.run(60)
    assert fault_sentence(i.only, "zh-CN") == "acc 无应答，1 台下挂设备随之失联"
    assert fault_sentence(i.only, "en") == "acc does not answer, 1 device lost with it"


def test_reasons_in_parts() -> None:
    assert reason_shown("no answer; capped: only the agent says so", "en") == "no answer; capped: only the agent says so"
    assert reason_shown("problem [x]; capped: only the agent says so", "zh-CN").startswith("problem [x]; 仅有")
    assert reason_shown("behind core-1; no answer", "zh-CN") == "上联 core-1 中断; 无应答"
    assert [reason_shown(text, "en") for text in ("behind core-1", "behind ", "")] == ["behind core-1", "behind ", ""]
    for word in (*PROBLEMS, *REASONS):
        assert translate(word, "zh-CN") != word


async def test_the_api_speaks_the_language_asked_for_else_the_sites(tmp_path: Path) -> None:
    clock = HandClock(START)
    site = replace(site_of(tmp_path), locale="zh-CN")
    use("en")
    async with collecting(tmp_path, clock, site=site, listen=True) as collector:
        agent = AgentSide()
        everyone = ("core", "access", "cam-1", "cam-2")
        await collector.ingest(agent.name, agent.frame([run(d) for d in everyone], [up(d, START) for d in everyone]))
        clock.advance(60)
        await collector.ingest(agent.name, agent.frame((), [down("access", clock.wall)], clock.wall))
        for _ in range(8):
            clock.advance(1)
            await judging.tick(collector)
        async with client(collector, operator(collector)) as session:
            for asked, told in (
                (None, "access 无应答"),
                ("*", "access 无应答"),
                ("fr-FR", "access 无应答"),
                ("en", "access does not answer"),
                ("en-US,zh;q=0.5", "access does not answer"),
                ("zh-CN,en;q=0.5", "access 无应答"),
            ):
                headers = {"Accept-Language": asked} if asked else {}
                async with session.get("/api/v1/faults", headers=headers) as answer:
                    (fault,) = (await answer.json())["faults"]
                assert fault["summary"] == told, asked
                assert (fault["problem"], fault["state"]) == ("device-down", "opened")
            path = f"/api/v1/faults/{fault['id']}/confirm"
            for asked, told in (("zh-CN", "已建单，不能执行 confirm；可执行："), ("en", "confirm is not allowed for")):
                async with session.post(path, json={"person": "Li"}, headers={"Accept-Language": asked}) as answer:
                    assert answer.status == 409
                    assert told in (await answer.json())["error"]
            async with session.get("/api/v1/faults/none") as answer:
                assert (answer.status, (await answer.json())["error"]) == (404, "没有故障 'none'")
