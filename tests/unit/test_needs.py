"""What a cluster is asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ua3dtalk import needs
from ua3dtalk.config import Config, load_config


def config(**changes: object) -> Config:
    return load_config({"actors": {"May": {"clips": "builtin"}}, **changes})


def rules(root: Path) -> set[str]:
    return {
        name for path in (root / "rules").glob("*.smk") for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)
    }


def test_every_rule_that_goes_to_a_cluster_is_in_the_table(root: Path) -> None:
    local = re.search(r"^localrules:\n(.*?)\n\n", (root / "Snakefile").read_text(), re.M | re.S)
    assert local is not None
    assert rules(root) - {name.strip(" ,") for name in local[1].splitlines()} == set(needs.NEEDS)


@pytest.mark.parametrize("rule", needs.NEEDS)
def test_a_retry_asks_for_more_and_larger_frames_for_no_less(rule: str) -> None:
    small, large = config(), config(media={"size": 512})
    for ask in (needs.memory_mb, lambda *given: needs.minutes(*given[:2], 1.0, *given[2:])):
        assert ask(rule, small, 1) < ask(rule, small, 2) < ask(rule, small, 3)
        assert ask(rule, small) <= ask(rule, large)


def test_time_grows_with_the_film_and_with_the_steps() -> None:
    assert needs.minutes("regions", config(), 1) < needs.minutes("regions", config(), 10)
    times = [needs.minutes("train_face", config(budget=budget), 10) for budget in ("tiny", "demo", "quick", "full")]
    assert times == sorted(times)
    assert times[0] == needs.LEAST_MINUTES
    assert 15 * 60 > times[-1] / 4 > 60, "50 000 iterations at 512 px on two cores: some hours, with room to spare"


def test_the_length_of_a_film_is_read_where_it_is_known(tmp_path: Path) -> None:
    assert needs.film_minutes(tmp_path) == needs.UNKNOWN_MINUTES
    (tmp_path / "clips.json").write_text(json.dumps({"frames": 3000}))
    assert needs.film_minutes(tmp_path) == 2
    (tmp_path / "clips.json").write_text("{")
    assert needs.film_minutes(tmp_path) == needs.UNKNOWN_MINUTES


@pytest.mark.parametrize("profile", ["slurm", "kubernetes"])
def test_profiles_group_rules_that_exist_and_leave_training_alone_on_slurm(root: Path, profile: str) -> None:
    groups = yaml.safe_load((root / "profiles" / profile / "config.yaml").read_text())["groups"]
    known = rules(root) | set(re.findall(r"^use rule \w+ as (\w+)", (root / "rules/ablation.smk").read_text(), re.M))
    assert set(groups) <= known
    if profile == "slurm":
        assert not {"train_mouth", "train_face", "train_fuse"} & set(groups)


def test_an_actor_s_own_settings_count() -> None:
    own = config(
        actors={"a": {"clips": ["a.mp4"]}, "b": {"clips": ["b.mp4"], "media": {"size": 512}, "budget": "full"}}
    )
    small, large = (own.of(name) for name in ("a", "b"))
    assert needs.memory_mb("train_face", large) > 2 * needs.memory_mb("train_face", small)
    assert needs.minutes("train_face", large, 1) > 4 * needs.minutes("train_face", small, 1)
