"""The command line in Simplified Chinese, as processes with the environment that a Chinese user has; widths, encodings."""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from cli import fault_table
from cli.arguments import HelpFormatter, wrapped
from cli.main import VERBS
from collector.fault_json import fault_json
from collector.store.database import Store
from collector.store.faults import list_faults, store_decisions
from config.language import translate, use
from kit.incidents import Incident, device

ROOT = Path(__file__).resolve().parents[2]
HAN = re.compile(r"[\u4e00-\u9fff]")
ENGLISH = re.compile(r"[A-Za-z][a-z]+ [a-z]+ [a-z]+ [a-z]+")  # four words on end: a sentence nobody translated
BAD_SITE = """\
site: {name: north, contract: campus-netwrk, timezone: Mars}
devices:
  - {name: a, address: 10.0.0.300, class: switch, upstrem: b}
  - {name: b, class: switch, upstream: c}
"""


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON", "COLUMNS"))}
    env = {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::EncodingWarning", **environ}
    return subprocess.run([sys.executable, "-m", "cli.main", *words], capture_output=True, env=env, cwd=ROOT, timeout=60)


def chinese(*words: str) -> tuple[int, str, str]:
    done = run(*words, LC_ALL="zh_CN.UTF-8", COLUMNS="100" if "--help" in words else "200")
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "\N{REPLACEMENT CHARACTER}" not in out + err and "\\u" not in out + err
    assert "Traceback" not in err
    return done.returncode, out, err


def stored_faults(folder: Path) -> Path:
    """Keep two faults in a collector's database, and return the site file that names it."""
    i = Incident(device("core-1", role="core"), device("acc", up="core-1"), device("ups", "ups"))
    i.down(0, "core-1", "acc")
    i.raise_(5, "ups", "UpsOnBattery")
    i.run(200)
    i.keep(i.engine.act(i.faults[0].id, "ack", "王伟", i.at(250), "正在路上"))
    store = Store.open(folder / "data")
    try:
        with store.transaction() as connection:
            for decisions in i.decisions:
                store_decisions(connection, decisions)
    finally:
        store.close()
    path = folder / "site.yaml"
    path.write_text(
        "site: {name: north, contract: campus-network, locale: zh-CN}\n"
        "devices: [{name: core-1, address: 127.0.0.1, class: switch, role: core}]\n"
        f"collector: {{data: {folder / 'data'}, listen: '127.0.0.1:1'}}\n"
    )
    return path


@pytest.mark.parametrize("words", [(), *((verb,) for verb in VERBS), ("faults", "list"), ("faults", "assign")], ids=str)
def test_help_is_chinese_throughout(words: tuple[str, ...]) -> None:
    status, out, err = chinese(*words, "--help")
    assert (status, err) == (0, "")
    assert out.startswith("用法：watchkeeper")
    assert "选项" in out and "显示此帮助信息并退出" in out
    assert not ENGLISH.search(out), ENGLISH.search(out)
    assert max(map(cell_len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "缺少以下参数：命令"),
        (("bogus",), "无效的选择"),
        (("demo", "--speed", "99"), "不是 0.1 到 20 之间的倍速"),
        (("up",), "缺少以下参数：-c/--config"),
        (("probe", "x", "--port", "many"), "无效的 int 值"),
        (("faults", "list", "--what"), "无法识别的参数：--what"),
        (("probe", "x", "--port"), "需要一个参数"),
        (("check",), "请给出站点文件"),
        (("simulate",), "需要给出场景文件"),
        (("faults", "list"), "请给出 -c SITE"),
    ],
    ids=str,
)
def test_usage_errors_are_chinese(words: tuple[str, ...], said: str) -> None:
    status, _out, err = chinese(*words)
    assert status == 2
    assert said in err


def test_check(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD_SITE)
    status, out, err = chinese("check", str(bad))
    assert (status, err) == (1, "")
    assert f"{bad}:1: site.contract: 没有名为“campus-netwrk”的合同。是否想写“campus-network”？" in out
    assert f"{bad}:3: devices[a].upstrem: 未知的键。是否想写“upstream”？" in out
    assert f"{bad}:4: devices[b]: 缺少 address。" in out
    assert not ENGLISH.search(out.replace(str(tmp_path), ""))


def test_doctor() -> None:
    status, out, _err = chinese("doctor")
    assert status in (0, 1)
    assert "接收缓冲区" in out and "可用" in out
    assert not ENGLISH.search(out), out


def test_faults_of_a_stopped_collector(tmp_path: Path) -> None:
    site = stored_faults(tmp_path)
    status, out, err = chinese("faults", "list", "-c", str(site), "--state", "all")
    assert status == 0
    assert "改为读取其数据库" in err
    assert "core-1 无应答，1 台下挂设备随之失联" in out
    assert "已受理" in out and "市电中断" in out
    number = re.search(r"WK-\d+-0001", out)
    assert number
    status, out, _err = chinese("faults", "show", number.group(), "-c", str(site))
    assert status == 0
    for word in ("根因", "定级依据", "受影响", "时限", "响应", "达标", "到达现场", "计时中", "正在路上", "王伟", "A 类"):
        assert word in out, word
    assert not ENGLISH.search(out), ENGLISH.search(out)
    status, _out, err = chinese("faults", "show", "WK-19700101-0001", "-c", str(site))
    assert status == 1 and "没有故障" in err


@pytest.mark.slow
def test_demo_tells_its_story() -> None:
    status, out, err = chinese("demo", "--for", "25s")
    assert status == 0, err
    for word in ("脚本", "市电中断", "已建单", "值班员", "本次运行的故障", "响应"):
        assert word in out, word
    assert not ENGLISH.search(out), ENGLISH.search(out)


def test_language_option_goes_before_the_environment() -> None:
    done = run("--language", "en", "demo", "--help", LC_ALL="zh_CN.UTF-8")
    assert done.stdout.decode().startswith("usage: ") and not HAN.search(done.stdout.decode())
    done = run("--language", "zh-CN", "demo", "--help", LC_ALL="C")
    assert done.stdout.decode().startswith("用法：") and "选项" in done.stdout.decode()


def test_plain_c_locale_is_english() -> None:
    done = run("doctor", LC_ALL="C")
    assert done.returncode in (0, 1) and b"receive buffer" in done.stdout and not HAN.search(done.stdout.decode())


@pytest.mark.parametrize("words", [("--help",), ("doctor",), ("check", "nowhere.yaml"), ("simulate", "--actions")], ids=str)
def test_no_text_fails_for_want_of_characters(words: tuple[str, ...]) -> None:
    done = run(*words, LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING="ascii")
    assert b"Traceback" not in done.stderr and done.stderr.isascii() and done.stdout.isascii()
    assert b"\\u4" not in done.stdout, "a terminal that has no Chinese gets English"
    done = run("--language", "zh-CN", *words, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert b"Traceback" not in done.stderr and done.stdout.isascii()


def test_national_encoding() -> None:
    done = run("doctor", LC_ALL="zh_CN.GB18030", PYTHONIOENCODING="gb18030")
    assert "接收缓冲区" in done.stdout.decode("gb18030")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_line_up(tmp_path: Path, width: int) -> None:
    stored_faults(tmp_path)
    store = Store.open_read_only(tmp_path / "data")
    use("zh-CN")
    try:
        with closing(store), store.reading() as connection:
            faults = [fault_json(view) for view in list_faults(connection)]
        page = io.StringIO()
        console = Console(file=page, width=width, highlight=False)
        fault_table.print_list(console, faults, datetime(2026, 11, 22, 3, tzinfo=UTC))
        fault_table.print_fault(console, faults[0], datetime(2026, 11, 22, 3, tzinfo=UTC))
    finally:
        use("en")
    assert max(map(cell_len, page.getvalue().splitlines())) <= width
    assert "分钟前" in page.getvalue()


def test_help_breaks_lines_by_cells() -> None:
    text = "持续监控直到被停止（Ctrl-C）。收到 SIGHUP 时重新读取站点文件；文件有错则不作任何改动。"
    for width in range(20, 90):
        lines = wrapped(text, width)
        assert max(map(cell_len, lines)) <= width
        assert not any(line.startswith(tuple("，。；）")) for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("", 10) == []
    assert HelpFormatter("x", width=40)._fill_text("a\n  b", 10, "  ") == "  a\n    b"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the list is of this version's words")
def test_every_word_of_argparse_that_users_see_is_translated() -> None:
    for_developers = re.compile(
        r"not defined|positionals|must be optional|callable|merge|option string|dest=|conflict|multiple sub|with mode"
    )
    source = ast.parse(Path(argparse.__file__).read_text(encoding="utf-8"))
    said = {
        node.args[0].value
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    assert len(said) > 20
    assert [text for text in said if not for_developers.search(text) and translate(text, "zh-CN") == text] == []
