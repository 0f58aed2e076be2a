"""A config is merged in the right order, and a wrong one is one line that names key and fix."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ua3dtalk import config
from ua3dtalk.config import ConfigError, load_config

MAY = {"May": {"clips": "builtin"}}
ONE = {"anna": {"clips": ["a.mp4"]}}


def test_the_shipped_config_equals_the_defaults(root: Path) -> None:
    shipped = load_config(yaml.safe_load((root / "config.yaml").read_text()))
    assert shipped == load_config({"actors": MAY})


def test_every_method_and_budget_is_a_valid_preset() -> None:
    for method in config.preset_names("method"):
        for budget in config.preset_names("budget"):
            loaded = load_config({"actors": MAY, "method": method, "budget": budget})
            assert (loaded.method, loaded.budget) == (method, budget)


def test_the_user_is_above_the_budget_and_the_budget_above_the_code() -> None:
    assert load_config({"actors": MAY}).stage("decode").size == 256
    assert load_config({"actors": MAY, "budget": "full"}).stage("decode").size == 512
    assert load_config({"actors": MAY, "budget": "full", "media": {"size": 320}}).stage("decode").size == 320
    assert load_config({"actors": MAY, "budget": "full", "media": {"margin": 1.2}}).stage("decode").size == 512


def test_clips_are_paths_or_paths_with_an_emotion() -> None:
    raw = {"actors": {"anna": {"clips": ["a.mp4", {"path": "b.mp4", "emotion": "happy"}]}, **MAY}}
    anna, may = load_config(raw).actors.values()
    assert [(clip.path, clip.emotion) for clip in anna.clips] == [("a.mp4", None), ("b.mp4", "happy")]
    assert not anna.builtin
    assert may.builtin
    assert (anna.emotions, may.emotions) == ((None, "happy"), ("neutral", "happy", "angry"))


def test_backends_reach_their_stages() -> None:
    loaded = load_config({"actors": MAY, "backends": {"landmarks": "face-alignment", "speech": "file"}})
    assert loaded.stage("landmarks").landmarks == "face-alignment"
    assert loaded.stage("speech").encoder == "file"


def test_the_actor_goes_into_paths() -> None:
    loaded = load_config({"actors": ONE, "face": {"openface_csv": "au/{actor}.csv"}})
    assert loaded.stage("expression", "anna").openface_csv == "au/anna.csv"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config({"actors": MAY}).stage("decode").size = 3


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({}, "actors: found None; give at least one, as in `actors: {May: {clips: builtin}}`"),
        ({"actor": MAY}, "actor: unknown key; did you mean actors?"),
        ({"actors": {"../x": {"clips": "builtin"}}}, "actors.../x: found '../x' as a name; use 1 to 64 letters, "),
        ({"actors": {"": {"clips": "builtin"}}}, "actors.: found '' as a name;"),
        ({"actors": {".x": {"clips": "builtin"}}}, "actors..x: found '.x' as a name;"),
        ({"actors": {"x" * 65: {"clips": "builtin"}}}, "as a name; use 1 to 64"),
        ({"actors": {"May": {"clips": "builtin"}, "may": {"clips": "builtin"}}}, "actors.may: differs from actors.May"),
        ({"actors": MAY, "backends": {"a[0]": 1}}, "backends.a[0]: unknown key; allowed: action_units, device, "),
        ({"actors": {"a": ["a.mp4"]}}, "actors.a: found ['a.mp4']; give `clips: builtin` or `clips: [video.mp4]`"),
        ({"actors": {"a": {"clips": "a.mp4"}}}, "actors.a.clips: found 'a.mp4'; give `builtin` or a list"),
        ({"actors": {"a": {"clips": []}}}, "actors.a.clips: found []; give `builtin` or a list"),
        ({"actors": {"a": {"clips": [3]}}}, "actors.a.clips[0]: found 3; give a path"),
        ({"actors": {"a": {"clips": [{"emotion": "x"}]}}}, "actors.a.clips[0].path: is missing; give it"),
        (
            {"actors": {"a": {"clips": ["b"], "sex": "f"}}},
            "actors.a.sex: unknown key; allowed: backends, budget, clips",
        ),
        ({"actors": {"a": {"clips": ["{b}.mp4"]}}}, "actors.a.clips[0].path: found '{b}.mp4'; rename the file"),
        ({"actors": MAY, "budget": "demos"}, "budget: found 'demos'; did you mean demo?"),
        ({"actors": MAY, "method": "x"}, "method: found 'x'; allowed: "),
        ({"actors": MAY, "seed": -1}, "seed: found -1; give a whole number"),
        ({"actors": MAY, "media": {"sise": 3}}, "media.sise: unknown key; did you mean size?"),
        ({"actors": MAY, "media": {"size": "big"}}, "media.size: found 'big'; input should be a valid integer"),
        ({"actors": MAY, "media": {"size": 2}}, "media.size: found 2; input should be greater than or equal to 64"),
        ({"actors": MAY, "media": 3}, "media: found 3; give keys and values"),
        ({"actors": MAY, "face": {"landmarks": "x"}}, "face.landmarks: is set by backends.landmarks; move it there"),
        ({"actors": MAY, "backends": {"rasteriser": "x"}}, "backends.rasteriser: found 'x'; allowed: 'auto'"),
        ({"actors": MAY, "rendering": {"driven_by": ["au"]}}, "rendering.driven_by[0]: found 'au'; allowed: 'pose'"),
    ],
)
def test_a_wrong_config_is_one_line(raw: dict, line: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(raw)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=80))
def test_a_name_never_leaves_the_results(name: str) -> None:
    try:
        load_config({"actors": {name: {"clips": "builtin"}}})
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert (Path("results") / name).resolve().parent == Path("results").resolve()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_keys = st.sampled_from(["actors", "method", "budget", "seed", "backends", "media", "training", "rendering", "metrics"])


@given(st.dictionaries(_keys, _json, max_size=4))
def test_whatever_yaml_gives_is_accepted_or_one_line_each(raw: dict) -> None:
    try:
        load_config({"actors": MAY, **raw})
    except ConfigError as error:
        head, *mistakes = str(error).splitlines()  # of actors all mistakes are told
        assert mistakes == [] or head == f"{len(mistakes)} mistakes:"


def test_offsets_of_clips_and_who_lip_sync_is_learned_from() -> None:
    actors = {**MAY, "a": {"clips": ["a.mp4", {"path": "b.mp4", "audio_offset": -0.2}]}}
    config = load_config({"actors": actors, "sync": {"train_on": ["a", "May"]}})
    assert config.actors["a"].audio_offsets == (None, -0.2)
    assert config.actors["May"].audio_offsets == (None, None, None)
    assert config.sync_actors == ("May", "a")
    assert load_config({"actors": {"a": {"clips": ["a.mp4"]}}}).sync_actors == ()
    with pytest.raises(ConfigError, match=r"^actors.a.clips\[0\].audio_offset: found 'late'"):
        load_config({"actors": {"a": {"clips": [{"path": "b.mp4", "audio_offset": "late"}]}}})
    with pytest.raises(ConfigError, match=r"^sync.train_on\[0\]: found 'Mai'; did you mean May\?$"):
        load_config({"actors": MAY, "sync": {"train_on": ["Mai"]}})
    with pytest.raises(ConfigError, match=r"^media.fix_audio_offset: nothing to learn lip sync from"):
        load_config({"actors": {"a": {"clips": ["a.mp4"]}}, "media": {"fix_audio_offset": True}})
