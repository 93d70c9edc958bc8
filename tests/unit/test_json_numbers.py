"""Numbers in JSON files: those that all readers agree on are numbers, all other texts are quoted."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cometfs.render import objects, spreads, tables


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("62e7831", '"62e7831"'),
        ("980e663509", '"980e663509"'),
        ("1e999", '"1e999"'),
        ("-1e999", '"-1e999"'),
        ("1e-999", '"1e-999"'),
        ("0e663509", '"0e663509"'),
        ("0.0", "0.0"),
        ("5e-324", "5e-324"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", '"9007199254740993"'),
        ("9007199254740994", "9007199254740994"),
        ("-9007199254740993", '"-9007199254740993"'),
        ("12345678901234567890", '"12345678901234567890"'),
        ("1180591620717411303424", "1180591620717411303424"),
        ("1" * 5_000, f'"{"1" * 5_000}"'),
        ("0." + "1" * 5_000, f'"0.{"1" * 5_000}"'),
        ("1e-4", "1e-4"),
        ("1E+0020", "1E+0020"),
    ],
)
def test_only_what_readers_agree_on_is_a_number(value: str, written: str) -> None:
    """Hashes that look like numbers, what no double holds, and thousands of digits are texts, in each file."""
    row = {"name": "p", "valueCurrent": value}
    assert objects.named_values([row]) == objects.values_by_name({"p": value}) == f'{{\n  "p": {written}\n}}\n'.encode()
    assert tables.experiments_lines([{"param.p": value}]) == f'{{"param.p": {written}}}\n'.encode()
    spread = objects.metric_spreads({"m": spreads.Spread(value, 1, value, 1, value, 1)}).decode()
    assert json.loads(spread)["m"]["last"] == json.loads(written)


def test_steps_and_numbers_inside_of_lists_follow_the_same_rule() -> None:
    """No value of a line is null, or another one, because it is too great for a double."""
    spread = objects.metric_spreads({"m": spreads.Spread("1", 2**53 + 1, "1", 2**53, "1", None)}).decode()
    assert json.loads(spread)["m"] | {"last": 0} == {
        "last": 0,
        "last_step": "9007199254740993",
        "min": 1,
        "min_step": 2**53,
        "max": 1,
        "max_step": None,
    }
    line = tables.experiments_lines([{"param.p": '[1e999, 12345678901234567890, {"a": 1.5, "b": 3}]'}])
    assert json.loads(line) == {"param.p": ["1e999", "12345678901234567890", {"a": 1.5, "b": 3}]}


def test_a_table_keeps_the_text() -> None:
    """CSV has no types: what was logged is there as it was logged."""
    values = ["62e7831", "12345678901234567890", "1.50"]
    sheet = tables.experiments([{"key": str(index), "param.p": value} for index, value in enumerate(values)])
    assert [line.split(",")[1] for line in sheet.decode().splitlines()[1:]] == values


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,4})?", fullmatch=True),
    st.integers(-(2**70), 2**70).map(str),
    st.integers(-1_000, 1_000).map(lambda n: str(2**53 + n)),
    st.floats().map(repr),
)


def bits(number: float) -> str:
    return struct.pack(">d", number + 0.0).hex()


def python(body: Path) -> list[Any]:
    return list(json.loads(body.read_bytes())["values"])


def by_duckdb(body: Path) -> list[Any]:
    """Read as columns, as people do."""
    return list(duckdb.execute(f"select * from read_json('{body.with_suffix('.jsonl')}')").fetchall()[0])


def by_node(body: Path) -> list[Any]:
    script = (
        "const fs = require('fs');"
        "const hex = v => { const b = Buffer.alloc(8); b.writeDoubleBE(v + 0); return b.toString('hex') };"
        "const { values } = JSON.parse(fs.readFileSync(process.argv[1]));"
        "console.log(JSON.stringify(values.map(v => typeof v === 'string' ? v : { hex: hex(v) })))"
    )
    found = json.loads(subprocess.run(["node", "-e", script, body], check=True, capture_output=True).stdout)
    return [one if isinstance(one, str) else struct.unpack(">d", bytes.fromhex(one["hex"]))[0] for one in found]


def by_jq(body: Path) -> list[Any]:
    """jq 1.6 prints 17 digits of a number, from which its double can be told."""
    return list(json.loads(subprocess.run(["jq", ".values", body], check=True, capture_output=True).stdout))


READERS = [
    python,
    by_duckdb,
    *(
        pytest.param(read, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} here"))
        for read, name in ((by_node, "node"), (by_jq, "jq"))
    ),
]


@pytest.mark.parametrize("read", READERS)
@given(st.lists(NUMBERS, min_size=20, max_size=40))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_reader_has_the_same_value(read: Any, tmp_path: Path, texts: list[str]) -> None:
    """A number is the double, and the integer, that the text stands for; every other one is the text itself."""
    literals = [objects.literal(text) for text in texts]
    body = tmp_path / "values.json"
    body.write_text(f'{{"values": [{", ".join(literals)}]}}')
    members = ", ".join(f'"c{index}": {literal}' for index, literal in enumerate(literals))
    body.with_suffix(".jsonl").write_text(f"{{{members}}}\n")
    for text, literal, found in zip(texts, literals, read(body), strict=True):
        if literal.startswith('"'):
            assert str(found) == text or read is by_duckdb, text
            continue
        assert bits(float(found)) in (bits(float(text)), bits(-float(text)) if float(text) == 0 else ""), text
        if text.lstrip("-").isdecimal() and read is not by_jq:
            assert int(found) == int(text), text
