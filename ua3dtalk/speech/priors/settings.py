"""Settings of Prior Extraction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ua3dtalk.settings import Settings


class PriorsSettings(Settings):
    """Prior Extraction: expression from speech, by a lip expert, a style net and their mixer."""

    source: Literal["open", "reference"] = "open"
    wav2lip: str | None = Field(None, description="reference: Wav2Lip's checkpoint; `{actor}` is filled in")
    audio2style: str | None = Field(None, description="reference: the style net of NeRF-3DTalker; `{actor}` likewise")
    fuse_net: str | None = Field(
        None, description="reference: its mixer; else the one in `audio2style`, else one trained on the actor"
    )
    deep3d: str | None = Field(None, description="reference: Deep3DFaceRecon's epoch_20.pth")
    pool: tuple[str, ...] = Field((), description="actors whose training frames the lip expert also learns from")
    token_components: int = Field(256, ge=1, description="principal components of the speech tokens")
    mel_components: int = Field(24, ge=1, le=80, description="principal components of the mel spectrum")
    whitening: float = Field(0.5, ge=0, le=1, description="0 keeps the components' deviations, 1 makes them equal")
    context: float = Field(2.0, gt=0, description="deviation of the Gaussian window of the lip expert's ear, frames")
    reach: int = Field(5, ge=0, description="frames on either side where that window ends")
    kernel_width: float = Field(1.5, gt=0, description="spread of the kernel, in median squared distances of windows")
    penalties: tuple[float, ...] = Field(
        (0.01, 0.05, 0.2, 0.8), min_length=1, description="ridge penalties; cross-validation picks one per coefficient"
    )
    sharing: tuple[float, ...] = Field(
        (0.0, 0.3, 0.6), min_length=1, description="how alike the pooled actors are taken to be; picked likewise"
    )
    ridge_share: float = Field(
        0.4, ge=0, le=1, description="weight of the ridge regression beside the kernel's reading"
    )
    own_frames: int = Field(2000, ge=50, description="at most so many of the actor's frames support the lip expert")
    pooled_frames: int = Field(600, ge=1, description="at most so many frames of each pooled actor")
    hidden: int = Field(32, ge=1, description="width of the nets' layers; the style net has it in both directions")
    members: int = Field(1, ge=1, description="nets whose mean is taken")
    steps: int = Field(80, ge=1, description="steps of training at most; cross-validation picks how many")
    learning_rate: float = Field(3e-3, gt=0)
    dropout: float = Field(0.3, ge=0, lt=1)
    crop: int = Field(50, ge=2, description="frames that the style net listens to at a time in training")
    loss: Literal["l1", "l2"] = Field("l1", description="L_recon; the paper has l2, NeRF-3DTalker's code l1")
    amplitude: float = Field(
        0.5, ge=0, le=1, description="share (in logarithms) of the mouth opening's shrinking that is undone"
    )
