"""The built-in actor's voice: espeak-ng through its C interface, with the time of each phoneme.

espeak-ng is GPL-3; it comes with the optional extra `espeakng-loader`, is used only here and only through its
shared library. Nothing else of the package needs it.

Its synthesiser keeps state from sentence to sentence and draws noise, so the same samples come only from a fresh
process with a fixed seed: `script.perform` sees to that.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ua3dtalk.errors import AssetError

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: no sound card, samples come through the callback
_PHONEME_EVENTS = 1
_DONT_EXIT = 0x8000
_UTF8_ENDPAUSE = 0x1001
_EVENT_PHONEME = 7
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True)
class Phoneme:
    """A sound in espeak's mnemonics without stress marks; seconds; `_` is a pause."""

    symbol: str
    start: float
    end: float
    stress: float  # 0 unstressed, 0.5 secondary, 1 primary


@dataclass(frozen=True)
class Manner:
    """How a stretch is spoken: words a minute, pitch and its range in espeak's 0..99, level, brightness in dB per
    octave above 1 kHz, pressed (0..1, saturation of the glottal sound)."""

    words_per_minute: int
    pitch: int
    pitch_range: int
    level: float
    brightness: float = 0.0
    pressed: float = 0.0


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Voice:
    """One voice of espeak-ng; `rate` is its sample rate in Hz."""

    def __init__(self, name: str = "en-us+f3") -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise AssetError("the built-in actor's voice is missing: pip install espeakng-loader") from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _DONT_EXIT))
        if self.rate <= 0 or self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise AssetError(f"espeak-ng does not start with voice {name}: reinstall espeakng-loader")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    def say(self, text: str, manner: Manner) -> tuple[np.ndarray, list[Phoneme]]:
        """Samples float32 in -1..1 at `rate`, and the phonemes with their times in seconds."""
        samples: list[np.ndarray] = []
        marks: list[tuple[int, str]] = []

        def receive(wave: ctypes._Pointer, count: int, events: ctypes._Pointer) -> int:
            if count > 0:
                samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
            position = 0
            while events[position].type != 0:
                event = events[position]
                if event.type == _EVENT_PHONEME:
                    marks.append((event.sample, event.id.string.decode(errors="replace")))
                position += 1
            return 0

        callback = _Callback(receive)
        self._library.espeak_SetSynthCallback(callback)
        for parameter, value in (
            (_RATE, manner.words_per_minute),
            (_PITCH, manner.pitch),
            (_RANGE, manner.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8_ENDPAUSE, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate(samples).astype(np.float32) / 32768
        return colour(sound, manner, self.rate), _phonemes(marks, len(sound), self.rate)


def _phonemes(marks: Sequence[tuple[int, str]], length: int, rate: int) -> list[Phoneme]:
    """Each sound lasts until the next begins; pauses are merged and lose their length marks."""
    found: list[Phoneme] = []
    ends = [mark[0] for mark in marks[1:]] + [length]
    for (start, text), end in zip(marks, ends, strict=True):
        symbol = text.lstrip("',%=|")
        symbol = "_" if symbol.startswith("_") or not symbol or symbol == ";" else symbol
        stress = 1.0 if text.startswith("'") else 0.5 if text.startswith(",") else 0.0
        if found and found[-1].symbol == symbol == "_":
            found[-1] = Phoneme("_", found[-1].start, end / rate, 0.0)
        elif end > start:
            found.append(Phoneme(symbol, start / rate, end / rate, stress))
    return found


def colour(sound: np.ndarray, manner: Manner, rate: int) -> np.ndarray:
    """Brightness as a tilt of the spectrum, pressed voice as soft saturation, then the level (peak)."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / rate), 1000) / 1000)
    sound = np.fft.irfft(spectrum * 10 ** (manner.brightness * octaves / 20), len(sound))
    sound = sound / max(float(np.abs(sound).max()), 1e-6)
    if manner.pressed > 0:
        drive = 1 + 4 * manner.pressed
        sound = np.tanh(drive * sound) / np.tanh(drive)
    return (manner.level * sound).astype(np.float32)
