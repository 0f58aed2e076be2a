"""Settings of Emotion Distillation."""

from __future__ import annotations

from pydantic import Field

from ua3dtalk.settings import Settings


class EmotionSettings(Settings):
    """Emotion Distillation: what the voice says of the emotion, learnt from labels and from the face."""

    pool: tuple[str, ...] = Field((), description="actors to learn from together; none: each from itself alone")
    checkpoint: str | None = Field(
        None,
        description="CA-MSER's published weights, used instead of the small net; needs wav2vec2's 768-wide "
        "features (`backends.speech: file`); `{actor}` is filled in",
    )
    iterations: int = Field(150, ge=1, description="steps of the small net")
    head_iterations: int = Field(400, ge=1, description="steps of the two heads on the published net")
    batch: int = Field(24, ge=1, description="windows in a step")
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    align_weight: float = Field(0.1, ge=0, description="weight of the fit to the face's feature (L2)")
    dropout: float = Field(0.1, ge=0, lt=1, description="CA-MSER's, before each of its dense layers")
    gain: float = Field(0.3, ge=0, description="deviation of the loudness in training, natural log (0.3: 2.6 dB)")
    noise: float = Field(0.1, ge=0, description="noise on the spectrum, in its standard deviations")
    other_words: float = Field(0.5, ge=0, le=1, description="share of the windows that get the tokens of another one")
    token_dropout: float = Field(0.3, ge=0, lt=1, description="share of the tokens that a step does not see")
