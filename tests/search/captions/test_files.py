"""Caption files: escaping of cues, and values that are read back."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vujax.search.captions.captioners import CAPTIONS
from vujax.search.captions.files import to_vtt, write_captions

BAD = 'x\n\n00:00:00.000 --> 00:09:00.000\n<b onclick="a">&\u2028'


def rows(film: str = "film-1", title: str = "A title --> \n NOTE") -> pa.Table:
    facts = dict(film=film, title=title, level="shot", by="bank", score=0.5, chance=None)
    captions = [BAD, None, "a boat, 日本", "of no time"]
    times = [(0.0, 1.5), (1.5, 2.0), (2.0, 3725.25), (4.0, 4.0004)]
    return pa.Table.from_pylist(
        [
            facts | dict(id=f"{film}/s{i:04d}", caption=text, begin_s=begin, end_s=end)
            for i, (text, (begin, end)) in enumerate(zip(captions, times, strict=True))
        ],
        schema=CAPTIONS,
    )


def test_vtt():
    assert to_vtt(rows()) == (
        "WEBVTT Captions of A title -> NOTE\n\n"
        "film-1/s0000\n00:00:00.000 --> 00:00:01.500\n"
        'x 00:00:00.000 --&gt; 00:09:00.000 &lt;b onclick="a"&gt;&amp;\n\n'
        "film-1/s0002\n00:00:02.000 --> 01:02:05.250\na boat, 日本\n"
    )
    assert to_vtt(rows()[:0]) == "WEBVTT Captions of\n"


def test_several_films_have_a_folder(tmp_path):
    out = tmp_path / "deep" / "captions.vtt"
    assert write_captions({"film-1": rows()}, out) == [out]
    written = write_captions({name: rows(name) for name in ("film-1", "film-2")}, out)
    assert written == [out.with_suffix("") / f"film-{i}.vtt" for i in (1, 2)]
    assert "film-2/s0000" in written[1].read_text(encoding="utf-8")


def test_tables(tmp_path):
    tables = {name: rows(name) for name in ("film-1", "film-2")}
    whole = pa.concat_tables(tables.values())
    for suffix in ("parquet", "csv", "jsonl"):
        assert write_captions(tables, tmp_path / f"c.{suffix}") == [tmp_path / f"c.{suffix}"]
    assert pq.read_table(tmp_path / "c.parquet").equals(whole)
    with (tmp_path / "c.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["caption"] for row in found[:3]] == [BAD, "", "a boat, 日本"]
    assert float(found[2]["end_s"]) == 3725.25 and found[0]["chance"] == ""
    text = (tmp_path / "c.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    assert len(lines) == 8 and lines[0]["caption"] == BAD and "caption" not in lines[1]


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"c.srt must end in one of .vtt, .parquet"):
        write_captions({"a": rows()}, tmp_path / "c.srt")
    with pytest.raises(ValueError, match="no captions to write"):
        write_captions({}, tmp_path / "c.vtt")
