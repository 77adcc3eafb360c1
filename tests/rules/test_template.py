from __future__ import annotations

import math

import pytest

from rules.humanize import go_text, humanize, humanize1024, humanize_duration, humanize_percentage, humanize_timestamp
from rules.template import Template
from rules.template_functions import Sample, TemplateError

LABELS = {"device": "core-1", "interface": "Gi1/0/1", "instance": "10.0.0.1:9100"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("{{ $labels.device }}: {{ $value }}", "core-1: 12345.678"),
        ("{{ .Labels.device }} {{ .Value }}", "core-1 12345.678"),
        ("{{ $labels.missing }}|", "|"),
        ("{{ $labels }}", "map[device:core-1 instance:10.0.0.1:9100 interface:Gi1/0/1]"),
        ('{{ $value | printf "%.1f" }}', "12345.7"),
        ('{{ printf "%s-%5.2f%%" $labels.device 3.14159 }}', "core-1- 3.14%"),
        ('{{ printf "%d" 3 }}{{ printf "%v" $value }}{{ printf "%q" "a\\"b" }}', '312345.678"a\\"b"'),
        ('{{ printf "%d" $value }}', "%!d(float64=12345.678)"),
        ("{{ humanize $value }} {{ $value | humanize1024 }}", "12.35k 12.06ki"),
        ("{{ if gt $value 100.0 }}high{{ else }}low{{ end }}", "high"),
        ('{{ if eq $labels.device "x" }}a{{ else if eq $labels.device "core-1" }}b{{ else }}c{{ end }}', "b"),
        ("{{ if $labels.missing }}a{{ end }}b", "b"),
        ("a {{- /* note */ -}} b", "ab"),
        ("{{ range $k, $v := $labels }}{{ $k }};{{ end }}", "device;instance;interface;"),
        ("{{ with $labels.device }}<{{ . }}>{{ end }}", "<core-1>"),
        ("{{ $x := $labels.device }}{{ $x | toUpper | title }}", "CORE-1"),
        ('{{ reReplaceAll "(.*)-(.*)" "$2/$1" $labels.device }}', "1/core"),
        ('{{ if match "^core" $labels.device }}y{{ end }}', "y"),
        ('{{ stripPort $labels.instance }} {{ stripDomain "a.b.c:80" }}', "10.0.0.1 a:80"),
        ("{{ and true (not false) }} {{ len $labels.device }}", "true 6"),
        ('{{ query "up" | first | value }} {{ with query "up" }}{{ . | first | label "job" }}{{ end }}', "1 agent"),
        ('{{ range query "up" }}{{ .Labels.job }}={{ .Value }} {{ end }}', "agent=1 other=0 "),
        ('{{ "}}" }}', "}}"),
    ],
)
def test_expansion(text: str, wanted: str) -> None:
    samples = [Sample({"job": "agent"}, 1.0), Sample({"job": "other"}, 0.0)]
    assert Template(text).expand(LABELS, 12345.678, lambda _: samples) == wanted


@pytest.mark.parametrize(
    "text",
    [
        '{{ query "up" }}',
        "{{ .Nothing.at.all }}",
        '{{ "x" | humanize }}',
        '{{ reReplaceAll "(" "" "x" }}',
        "{{ index $labels 1 2 }}",
    ],
)
def test_a_failing_template_says_so_and_loses_no_alert(text: str) -> None:
    assert Template(text).expand(LABELS, 1.0).startswith("<error expanding template: ")


@pytest.mark.parametrize(
    "text",
    ["{{ $labels.x", "{{ nope }}", "{{ if $value }}x", "x{{ end }}", "{{ }}", "{{ ( $value }}", "{{ if 1 }}" * 200, "{{ ;; }}"],
)
def test_what_is_no_template_is_refused_when_loaded(text: str) -> None:
    with pytest.raises(TemplateError):
        Template(text)


def test_numbers_read_as_in_go() -> None:
    assert [go_text(v) for v in (1.0, 1e20, 1e21, 0.0001, 0.00001, 1.5e-7, -2.5, math.inf, math.nan)] == [
        "1", "100000000000000000000", "1e+21", "0.0001", "1e-05", "1.5e-07", "-2.5", "+Inf", "NaN",
    ]  # fmt: skip
    assert [humanize(v) for v in (0, 1, 1234567, 0.001, -4500)] == ["0", "1", "1.235M", "1m", "-4.5k"]
    assert [humanize1024(v) for v in (0, 1024, 1048576)] == ["0", "1ki", "1Mi"]
    assert [humanize_duration(v) for v in (0, 0.5, 61, 3661, 90061, -75)] == [
        "0s",
        "500ms",
        "1m 1s",
        "1h 1m 1s",
        "1d 1h 1m 1s",
        "-1m 15s",
    ]
    assert humanize_percentage(0.1234567) == "12.35%"
    assert humanize_timestamp(1435065584.128) == "2015-06-23 13:19:44.128 +0000 UTC"
