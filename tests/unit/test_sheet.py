"""A sheet of actors gives what the same actors in config.yaml give, and tells all that is wrong with it at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ua3dtalk.config import ConfigError, load_config
from ua3dtalk.sheet import read_sheet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("films/b_2.mp4", "films/b_1.mp4", "films/sub/c d.mp4", "solo.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def write(folder: Path, text: str, name: str = "actors.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sheet_is_the_same_as_the_entries_of_a_config(folder: Path) -> None:
    sheet = write(
        folder,
        "\ufeffactor,path,clips,emotions,audio_offsets,media.size,budget,training.face.iterations\n"
        "anna,films,b_*.mp4,happy; angry,-0.2,512,,\n"
        "\n"
        'bert,,"solo.mp4; films/sub/c d.mp4",,; 0.1,,quick,900\n'
        "anna,films/sub,c d.mp4,,,,,\n"
        "May,,builtin,,,,,\n",
    )
    actors, mistakes = read_sheet(sheet)
    assert mistakes == []
    films = folder / "films"
    by_hand = {
        "anna": {
            "clips": [
                {"path": str(films / "b_1.mp4"), "emotion": "happy", "audio_offset": -0.2},
                {"path": str(films / "b_2.mp4"), "emotion": "angry", "audio_offset": -0.2},
                str(films / "sub/c d.mp4"),
            ],
            "media": {"size": 512},
        },
        "bert": {
            "clips": [str(folder / "solo.mp4"), {"path": str(films / "sub/c d.mp4"), "audio_offset": 0.1}],
            "budget": "quick",
            "training": {"face": {"iterations": 900}},
        },
        "May": {"clips": "builtin"},
    }
    assert load_config({"actors": actors}) == load_config({"actors": by_hand})


def test_what_an_actor_has_for_itself_goes_above_the_config(folder: Path) -> None:
    sheet = write(folder, "actor\tclips\tmedia.size\tbudget\na\tsolo.mp4\t320\tfull\nb\tsolo.mp4\t\t\n", "s.tsv")
    config = load_config({"actors": read_sheet(sheet)[0], "budget": "tiny", "media": {"size": 96, "margin": 1.5}})
    assert (config.stage("decode", "a").size, config.stage("decode", "b").size) == (320, 96)
    assert config.stage("decode", "a").margin == config.stage("decode", "b").margin == 1.5
    assert (config.of("a").budget, config.of("b").budget) == ("full", "tiny")
    full, tiny = (load_config({"actors": {"x": {"clips": ["y"]}}, "budget": name}) for name in ("full", "tiny"))
    assert config.stage("train_face", "a") == full.stage("train_face")
    assert config.stage("train_face", "b") == tiny.stage("train_face")


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    sheet = write(
        folder,
        "actor,clips,emotions,budget,media.size\n"
        "good,solo.mp4,,,\n"
        "../x,solo.mp4,,,\n"
        "gone,absent.mp4,,,\n"
        "many,solo.mp4,happy; sad,,\n"
        "same,solo.mp4; solo.mp4,,,\n"
        ",solo.mp4,,,\n"
        "none,,,,\n"
        "empty,films/*.mkv,,,\n"
        "cheap,solo.mp4,,cheapest,\n"
        "big,solo.mp4,,,huge\n"
        "Good,solo.mp4,,,\n"
        "odd,solo.mp4,,,[\n",
    )
    actors, mistakes = read_sheet(sheet)
    with pytest.raises(ConfigError) as error:
        load_config({"actors": actors}, mistakes)
    head, *lines = str(error.value).splitlines()
    assert head == "11 mistakes:"
    for words in (
        "actors.../x: found '../x' as a name",
        f"actors.csv line 4: gone: no file {folder}/absent.mp4 (looked from ",
        "line 5: many: 2 emotions for 1 clips: give one, or one for each",
        f"line 6: same: {folder}/solo.mp4 is there twice",
        "line 7: no actor's name",
        "line 8: none: no clips: give files, a pattern as *.mp4, or builtin",
        "line 9: empty: no file fits",
        "actors.cheap.budget: found 'cheapest'",
        "actors.big.media.size: found 'huge'; input should be a valid integer",
        "line 13: odd: media.size: found '['; write it as in config.yaml",
        "actors.Good: differs from actors.good in case only",
    ):
        assert sum(words in line for line in lines) == 1, words


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the first line must name the columns actor and clips"),
        ("name,clips\na,b\n", "the first line must name the columns actor and clips"),
        ("actor;clips\na;solo.mp4\n", "save it with commas"),
        ("actor,clips,medai.size\na,solo.mp4,3\n", "column 'medai.size' is unknown; did you mean media?"),
        ("actor,clips,clips\na,solo.mp4,x\n", "the column clips is there twice"),
        ("actor,clips\na,solo.mp4,extra\n", "line 2: 3 fields in 2 columns: put text that holds a comma in quotes"),
        ('actor,clips\na,"solo.mp4\n', "save the sheet again as csv"),
        ("actor,clips\n", "has no rows"),
        ("actor,clips\na,\0\n", "cannot be read as a sheet of actors (it is no text): save the sheet as csv"),
    ],
)
def test_what_is_no_sheet_is_one_line(folder: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_sheet(write(folder, text))
    assert line in str(error.value) and "\n" not in str(error.value)


def test_a_sheet_that_is_not_there_or_no_text(folder: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sheet(folder / "absent.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sheet(folder)
    (folder / "x.csv").write_bytes(b"actor,clips\n\xff\xfe,b\n")
    with pytest.raises(ConfigError, match="save the sheet as csv, UTF-8"):
        read_sheet(folder / "x.csv")
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(ConfigError, match="it is no regular file"):
        read_sheet(folder / "pipe.csv")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(alphabet='abM,;"\n*[{:&!.-/ 1é\u2028\x00', max_size=8), max_size=6), max_size=5))
def test_whatever_stands_in_it_there_is_an_answer(folder: Path, cells: list[list[str]]) -> None:
    header = "actor,clips,emotions,audio_offsets,media.size,training\n"
    text = header + "\n".join(",".join(row) for row in cells)
    try:
        actors, mistakes = read_sheet(write(folder, text, "any.csv"))
        load_config({"actors": actors}, mistakes)
    except ConfigError as error:
        assert str(error) and all(line.isprintable() for line in str(error).splitlines())
