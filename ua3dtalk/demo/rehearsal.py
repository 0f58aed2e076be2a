"""More speech of the built-in actor, heard but not drawn: what trains lip sync beside its clips.

Other voices of espeak-ng say other sentences; the lips follow the same rules of coarticulation, as blendshapes
instead of pictures. Three clips of one voice alone would be learned by heart.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ua3dtalk.demo.child import one_line_errors, run_module
from ua3dtalk.demo.performance import EMOTIONS, JAW_GAIN, SIDES, lip_channels
from ua3dtalk.demo.script import close_gaps
from ua3dtalk.demo.voice import Manner, Phoneme, Voice
from ua3dtalk.face.mesh import BLENDSHAPE_NAMES
from ua3dtalk.subject import AUDIO_RATE, FPS, SAMPLES_PER_FRAME
from ua3dtalk.workflow import atomic

SEED = 0
VOICES = tuple(f"en-us+{name}" for name in ("f3", "m3", "m1", "f2", "m7", "m2", "f1", "m5", "f4", "f5", "m4", "m6"))
SECONDS_EACH = 29.0  # at most: Whisper hears 30 s at a time
LEAD_IN = 0.3
PAUSES = (0.1, 0.6)  # s between sentences
SENTENCES = (
    "Every morning the baker opens his shop before the sun comes up.",
    "Please put the heavy box beside the window and close the door.",
    "We found five small fish swimming under the old wooden bridge.",
    "My brother plays the piano, but I prefer the violin and the flute.",
    "What would you do if the weather changed in the middle of the night?",
    "The quick train from Boston arrives at platform number seven.",
    "She thought about it for a while and then shook her head.",
    "Children love to jump over puddles when the rain has stopped.",
    "Could you bring me a cup of coffee with some milk and sugar?",
    "Our government has to work together for the future of this country.",
    "Thank you very much for watching, and have a wonderful weekend.",
    "Years of hard work have finally paid off for these families.",
    "He bought a yellow shirt, a pair of blue shoes and a purple hat.",
    "There is nothing better than fresh bread with butter and jam.",
    "The doctor asked whether the pain had moved to the other arm.",
    "Who wants to be the first to jump into the cold water?",
    "A thousand people gathered in the square to hear the music.",
    "Nobody knew where the voice was coming from.",
    "I believe that we can do much better than we have done before.",
    "Bring both of the books back to the library by Monday.",
    "Economic growth depends on good schools and honest work.",
    "The moon rose above the mountains and lit up the whole valley.",
    "Why do you always forget to water the flowers in the garden?",
    "Some vegetables grow best in the shade of taller plants.",
    "Push the button twice, wait a moment, and pull the lever up.",
    "Health care should be something that everybody can afford.",
    "That is the worst idea I have ever heard in my life.",
    "Put red at B four now, and place white by G nine again.",
    "Lay green with X two please, and set blue in F zero soon.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "The ship sailed through thick fog for three days and nights.",
    "Maybe we should ask somebody who has been there before.",
    "I would like to speak to you about jobs, taxes and the middle class.",
    "Pop music, rock and jazz are played on the radio all day long.",
    "Wash your hands, brush your teeth, and go to bed early.",
    "Vivian moved to a village above the river with five of her friends.",
)


@dataclass(frozen=True)
class Rehearsal:
    """One voice: sound float32 [n * 640] at 16 kHz and blendshapes [n, 52] (`BLENDSHAPE_NAMES`) at 25 fps."""

    sound: np.ndarray
    blendshapes: np.ndarray


def make_rehearsal(*, out: Path, picture: Path, state: str) -> None:
    """Write rehearsal.npz; a child process speaks, because only a fresh one gives the same samples each time.

    Args:
        out: sound int16 [N * 640] at 16 kHz, blendshapes float32 [N, 52], names of these, lengths of the voices' parts
            in frames, state.
        picture: png of loudness and jaw.
    Raises:
        AssetError: espeak-ng is not installed or does not start.
    """
    with atomic(out) as temporary:
        run_module("ua3dtalk.demo.rehearsal", str(temporary), state)
        with np.load(temporary, allow_pickle=False) as data:
            draw_rehearsal(picture, data["sound"], data["blendshapes"], data["lengths"])


def draw_rehearsal(path: Path, sound: np.ndarray, blendshapes: np.ndarray, lengths: np.ndarray) -> None:
    """The first ten seconds of four voices."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), dpi=90, layout="constrained")
    panels = figure.subplots(4, 1, sharex=True)
    starts = np.cumsum([0, *lengths])
    for panel, number in zip(panels, np.linspace(0, len(lengths) - 1, 4).astype(int), strict=True):
        frames = np.arange(starts[number], min(starts[number + 1], starts[number] + 10 * FPS))
        loud = np.abs(sound.reshape(-1, SAMPLES_PER_FRAME)[frames]).max(axis=1) / 32768
        time = np.arange(len(frames)) / FPS
        panel.fill_between(time, loud, color="0.8", label="peak of the sound")
        panel.plot(time, blendshapes[frames, BLENDSHAPE_NAMES.index("jawOpen")], label="jawOpen")
        panel.set_ylabel(VOICES[number])
    panels[0].legend(loc="upper right", fontsize=8)
    panels[-1].set_xlabel("seconds")
    with atomic(path) as temporary:
        figure.savefig(temporary)


def rehearse(name: str, rng: np.random.Generator) -> Rehearsal:
    """One voice says some of the sentences, each in a manner of its own, in one mood."""
    voice = Voice(name)
    parts, phonemes, now = [np.zeros(round(LEAD_IN * voice.rate), np.float32)], [], LEAD_IN
    for number in rng.permutation(len(SENTENCES)):
        sound, spoken = voice.say(SENTENCES[number], _manner(rng))
        until = max(phoneme.end for phoneme in spoken if phoneme.symbol != "_")
        if now + until + PAUSES[1] > SECONDS_EACH:
            break
        phonemes += [
            replace(phoneme, start=now + phoneme.start, end=now + phoneme.end)
            for phoneme in spoken
            if phoneme.end <= until
        ]
        pause = rng.uniform(*PAUSES)
        parts += [sound[: round(until * voice.rate)], np.zeros(round(pause * voice.rate), np.float32)]
        now += sum(map(len, parts[-2:])) / voice.rate
    sound = _at_16_khz(np.concatenate(parts), voice.rate)
    frames = len(sound) // SAMPLES_PER_FRAME
    return Rehearsal(sound[: frames * SAMPLES_PER_FRAME], _blendshapes(phonemes, frames, rng))


def _manner(rng: np.random.Generator) -> Manner:
    return Manner(
        words_per_minute=int(rng.integers(130, 200)),
        pitch=int(rng.integers(25, 75)),
        pitch_range=int(rng.integers(20, 80)),
        level=float(rng.uniform(0.3, 0.9)),
        brightness=float(rng.uniform(-3, 3)),
        pressed=float(rng.choice([0.0, 0.0, 0.4])),
    )


def _blendshapes(phonemes: list[Phoneme], frames: int, rng: np.random.Generator) -> np.ndarray:
    """Lips by the rules of the clips, on top of a mood that stays, float32 [n, 52]."""
    mood = str(rng.choice(["neutral", "neutral", "happy", "angry"]))
    lips = lip_channels(close_gaps(phonemes, frames / FPS), frames)
    lips["jawOpen"] = lips["jawOpen"] * JAW_GAIN[mood] * rng.uniform(0.6, 1.1)
    strength = rng.uniform(0.4, 1.0)
    table = np.zeros((frames, len(BLENDSHAPE_NAMES)))
    still = {name: np.full(frames, full * strength) for name, full in EMOTIONS[mood].items()}
    for name, values in [*lips.items(), *still.items()]:
        for full_name in (name,) if name in BLENDSHAPE_NAMES else tuple(name + side for side in SIDES):
            table[:, BLENDSHAPE_NAMES.index(full_name)] += values
    return np.clip(table, 0, 1).astype(np.float32)


def _at_16_khz(sound: np.ndarray, rate: int) -> np.ndarray:
    import librosa

    return np.asarray(librosa.resample(sound, orig_sr=rate, target_sr=AUDIO_RATE))


def main(out: Path, state: str) -> None:
    """What the child process does: speak and write."""
    rng = np.random.default_rng(SEED)
    found = [rehearse(name, rng) for name in VOICES]
    np.savez(
        out,
        sound=np.rint(32767 * np.clip(np.concatenate([each.sound for each in found]), -1, 1)).astype(np.int16),
        blendshapes=np.concatenate([each.blendshapes for each in found]),
        lengths=np.array([len(each.blendshapes) for each in found]),
        names=np.array(BLENDSHAPE_NAMES),
        state=np.array(state),
    )


if __name__ == "__main__":
    with one_line_errors():
        main(Path(sys.argv[1]), sys.argv[2])
