"""Some bad inputs for every reader of foreign files; `python -m benchmarks.fuzz` gives each of them thousands."""

from __future__ import annotations

import sys

import pytest
from fuzzing.targets import TARGETS
from fuzzing.watch import watch

COUNT = 12
FILMS = [name for name in TARGETS if name.startswith("video ")]
SOUNDS = [name for name in TARGETS if name.startswith("sound ")]
MODELS = [name for name in TARGETS if name.endswith("safetensors")]
OTHERS = [name for name in TARGETS if name not in (*FILMS, *SOUNDS, *MODELS)]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc, which Linux has")
@pytest.mark.parametrize("names", [FILMS + SOUNDS, MODELS, OTHERS], ids=["media", "models", "others"])
def test_bad_input_gets_an_answer_of_our_own(names: list[str]) -> None:
    for outcome in watch(names, COUNT):
        found = [(finding.kind, finding.what[-800:], finding.content[:200]) for finding in outcome.findings]
        assert not found, f"{outcome.name}: {found}"
        assert outcome.inputs == COUNT
        assert outcome.refused > 0, f"{outcome.name} takes anything"


def test_what_goes_wrong_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """The watch itself: a reader that raises, one that sleeps, one that grows, one that dies."""
    import fuzzing.watch

    monkeypatch.setattr(fuzzing.watch, "SECONDS", 1.0)
    monkeypatch.setattr(fuzzing.watch, "MODULE", "fuzzing.traitors")
    found = {
        outcome.name: {finding.kind for finding in outcome.findings}
        for outcome in watch(["raises", "sleeps", "grows", "dies", "hides its hunger", "answers"], 1)
    }
    assert found == {
        "raises": {"traceback"},
        "sleeps": {"hang"},
        "grows": {"traceback"},
        "dies": {"crash"},
        "hides its hunger": {"memory"},
        "answers": set(),
    }
