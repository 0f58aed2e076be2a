"""The authors' nets load under the official names, hear and see what the published pipeline gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from official_names import random_state, read_names

from ua3dtalk.errors import AssetError
from ua3dtalk.speech.reference.audio2style import (
    Audio2Style,
    FuseNet,
    holds_fuse_net,
    load_audio2style,
    load_fuse_net,
    train_fuse_net,
    voice_style,
)
from ua3dtalk.speech.reference.wav2lip import (
    Wav2Lip,
    load_wav2lip,
    mel_chunks,
    speaking_faces,
    wav2lip_mel,
    window,
)

DATA = Path(__file__).parent / "data"


def names_of(net: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def official(name: str) -> dict[str, tuple[int, ...]]:
    return read_names(DATA / f"{name}_names.txt")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Wav2Lip:
    """A file as the authors save it, with the wrapper's prefix and what training adds, loaded."""
    path = tmp_path_factory.mktemp("wav2lip") / "wav2lip.pth"
    document = {"state_dict": random_state(official("wav2lip")), "optimizer": None, "global_step": 3, "global_epoch": 1}
    torch.save(document, path)
    return load_wav2lip(path)


@pytest.mark.parametrize(("name", "net"), [("wav2lip", Wav2Lip), ("audio2style", Audio2Style), ("fuse_net", FuseNet)])
def test_names_and_shapes_are_the_official_ones(name: str, net: type[torch.nn.Module]) -> None:
    expected = {key.removeprefix("module."): shape for key, shape in official(name).items()}
    assert names_of(net()) == expected


def test_the_official_prefix_may_be_there_or_not(generator: Wav2Lip, tmp_path: Path) -> None:
    torch.save(generator.state_dict(), tmp_path / "bare.pth")
    again = load_wav2lip(tmp_path / "bare.pth")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in generator.state_dict().items())
    assert not again.training


def test_a_window_gives_five_faces_and_the_first_stands_alone(generator: Wav2Lip) -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (7, 96, 96, 3), dtype=np.uint8)
    mel = rng.uniform(-4, 4, (24, 80)).astype(np.float32)
    pictures, speech = window(faces, mel, 3)
    assert pictures.shape == (6, 5, 96, 96) and speech.shape == (5, 1, 80, 16)
    with torch.inference_mode():
        out = generator(torch.from_numpy(speech)[None], torch.from_numpy(pictures)[None])
    assert out.shape == (1, 3, 5, 96, 96) and out.min() >= 0 and out.max() <= 1
    alone = speaking_faces(generator, faces, mel)
    expected = (out[0, :, 0] * 255).round().permute(1, 2, 0).numpy()[..., ::-1]
    assert np.abs(alone[3].astype(float) - expected).max() <= 1


def test_a_window_holds_what_the_published_loader_gives() -> None:
    faces = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 96, 96, 3), np.uint8)
    faces[..., 0] += 100  # red
    mel = np.arange(60, dtype=np.float32)[:, None] * np.ones((1, 80), np.float32)
    pictures, speech = window(faces, mel, 2)
    bgr = np.rint(pictures * 255).astype(int)
    assert (bgr[:3, :, 48:] == 0).all()
    for k in range(5):
        assert (bgr[0, k, :48] == 2 + k).all() and (bgr[2, k, :48] == 102 + k).all()  # blue first
        assert (bgr[3, k] == k).all() and (bgr[5, k] == 100 + k).all()
    starts = speech[:, 0, 0, 0].astype(int)
    assert starts.tolist() == [int(80 * frame / 25) for frame in (1, 2, 3, 4, 5)]
    assert (np.diff(speech[:, 0, 5], axis=1) == 1).all()


def test_chunks_stay_inside_the_clip() -> None:
    mel = np.arange(40, dtype=np.float32)[:, None] * np.ones((1, 80), np.float32)
    chunks = mel_chunks(mel, np.array([-1, 0, 5, 12]))
    assert chunks.shape == (4, 80, 16)
    assert chunks[:, 0, 0].tolist() == [0, 0, 16, 24]


def test_mel_equals_the_definition() -> None:
    """Pre-emphasis, mirrored ends, Hann window, magnitude, Slaney's bank, decibels to -4..4: each written out."""
    import librosa

    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal(3200)).astype(np.float32)
    samples[1600:] *= 1e-6
    emphasised = samples.astype(float).copy()
    emphasised[1:] -= 0.97 * samples[:-1]
    padded = np.pad(emphasised, 400, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
    bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    rows = []
    for k in range(17):
        amplitude = np.abs(np.fft.rfft(padded[200 * k : 200 * k + 800] * hann))
        decibels = 20 * np.log10(np.maximum(1e-5, bank @ amplitude)) - 20
        rows.append(np.clip(8 * (decibels + 100) / 100 - 4, -4, 4))
    mel = wav2lip_mel(samples)
    assert mel.shape == (17, 80)
    np.testing.assert_allclose(mel, rows, atol=2e-3)
    assert mel[-3].max() < -3.5  # near silence lies at the floor


def test_style_has_a_time_axis_of_its_own(tmp_path: Path) -> None:
    state = random_state(official("audio2style"))
    torch.save({"epoch": 1, "audio2style": state}, tmp_path / "style.pth.tar")
    net = load_audio2style(tmp_path / "style.pth.tar")
    chunks = np.random.default_rng(0).standard_normal((5, 80, 16)).astype(np.float32)
    alone = voice_style(net, chunks)
    assert alone.shape == (5, 64) and alone.dtype == np.float32
    # A frame alone does not depend on its company; in a stretch it does.
    np.testing.assert_allclose(alone[::-1], voice_style(net, chunks[::-1].copy()), atol=1e-6)
    whole = voice_style(net, chunks, together=5)
    assert np.abs(whole - alone).max() > 1e-3
    with torch.inference_mode():
        stretch = net(torch.from_numpy(chunks).flatten(1)[None])[0].numpy()
    np.testing.assert_allclose(whole, stretch, atol=1e-6)
    # The published call makes the batch the axis of time: its B frames are one stretch.
    rest = voice_style(net, chunks, together=2)
    np.testing.assert_allclose(rest[:2], voice_style(net, chunks[:2], together=2), atol=1e-6)
    np.testing.assert_allclose(rest[4:], voice_style(net, chunks[4:]), atol=1e-6)
    assert not holds_fuse_net(tmp_path / "style.pth.tar")


def test_the_mixer_comes_with_the_style_net_as_the_authors_save_both(tmp_path: Path) -> None:
    path = tmp_path / "epoch_3_fusemodel_ckpt.pth.tar"
    state = random_state(official("fuse_net"))
    torch.save({"audio2style": random_state(official("audio2style")), "fusemodel": state}, path)
    assert holds_fuse_net(path)
    net = load_fuse_net(path)
    style, lips = torch.randn(3, 64), torch.randn(3, 64)

    def leaky(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    hidden = leaky(torch.cat([style, lips], 1) @ state["linear1.0.weight"].T + state["linear1.0.bias"])
    expected = leaky(hidden @ state["linear2.0.weight"].T + state["linear2.0.bias"])
    assert torch.allclose(net(style, lips), expected, atol=1e-5)


def test_a_mixer_learns_from_the_training_frames() -> None:
    rng = np.random.default_rng(0)
    style, lips = rng.standard_normal((2, 300, 64)).astype(np.float32)
    target = 0.5 * lips + 0.1 * style
    net = train_fuse_net(style, lips, target, seed=0, steps=300)
    with torch.inference_mode():
        error = np.abs(net(torch.from_numpy(style), torch.from_numpy(lips)).numpy() - target).mean()
    assert error < 0.75 * np.abs(target).mean()
    again = train_fuse_net(style, lips, target, seed=0, steps=300)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def one_line(error: pytest.ExceptionInfo[AssetError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_a_missing_file_says_which_where_from_and_on_what_terms(tmp_path: Path) -> None:
    with pytest.raises(AssetError) as error:
        load_wav2lip(tmp_path / "none.pth")
    one_line(error, "none.pth is missing", "github.com/Rudrabha/Wav2Lip", "priors.wav2lip", "licences.md")
    with pytest.raises(AssetError) as error:
        load_audio2style(tmp_path / "none.pth")
    one_line(error, "missing", "NeRF-3DTalker", "priors.audio2style")


def test_files_of_other_nets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pth"
    torch.save({"state_dict": random_state(official("fuse_net"))}, path)
    with pytest.raises(AssetError) as error:
        load_wav2lip(path)
    one_line(error, "another net", "face_encoder_blocks.0.0.conv_block.0.weight")
    narrow = random_state(official("fuse_net")) | {"linear1.0.weight": torch.zeros(64, 100)}
    torch.save(narrow, path)
    with pytest.raises(AssetError) as error:
        load_fuse_net(path)
    one_line(error, "linear1.0.weight is [64, 100], not [64, 128]")
    torch.save(random_state(official("fuse_net")) | {"linear1.0.bias": torch.full((64,), float("nan"))}, path)
    with pytest.raises(AssetError) as error:
        load_fuse_net(path)
    one_line(error, "not finite")
    torch.save({"epoch": 3}, path)
    with pytest.raises(AssetError) as error:
        load_fuse_net(path)
    one_line(error, "holds epoch where fusemodel")


class Trap:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return eval, ("__import__('pathlib').Path('sprung').touch()",)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Trap()}, "trap.pth")
    with pytest.raises(AssetError) as error:
        load_wav2lip("trap.pth")
    one_line(error, "cannot be read as weights")
    assert not Path("sprung").exists()
    Path("text.pth").write_text("not weights")
    with pytest.raises(AssetError) as error:
        load_wav2lip("text.pth")
    one_line(error, "cannot be read as weights")


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = random_state(official("fuse_net"))
    save_file(state, tmp_path / "fuse.safetensors")
    assert torch.equal(
        load_fuse_net(tmp_path / "fuse.safetensors").state_dict()["linear2.0.bias"], state["linear2.0.bias"]
    )
