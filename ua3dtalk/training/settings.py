"""Settings of training: schedules, curricula and sizes as data. Iterations count from 0 in every stage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ua3dtalk.settings import Settings


class AudioSettings(Settings):
    """How speech becomes the audio code that both branches see."""

    mouth_coefficients: int = Field(
        8, ge=0, le=32, description="entries of the code that stand for the actor's main lip shapes"
    )
    free_code: int = Field(
        0,
        ge=0,
        le=64,
        description="entries that a convolutional net learns from the picture alone; wants minutes of clip",
    )
    radius: int = Field(2, ge=0, description="frames of speech on either side that a lip shape is read from")
    mel_weight: float = Field(1.0, ge=0, description="weight of the mel spectrum beside the speech tokens")
    teacher_noise: float = Field(
        0.1,
        ge=0,
        description="noise added to the true lip shapes that drive training frames, in standard deviations",
    )


class BeliefSettings(Settings):
    """How views of a frame believe, each with an ensemble, and how the beliefs become edits (UA-3DTalk)."""

    members: int = Field(10, ge=1, le=64, description="nets of each view's ensemble")
    state: int = Field(48, ge=1, description="width of the latent state that beliefs are about")
    learned_variance: bool = Field(True, description="false: every view weighs the same, nothing is uncertain")
    anchors: int | None = Field(400, ge=4, description="places on the face that hold beliefs; null: every Gaussian")
    mouth_anchors: int | None = Field(120, ge=4, description="the same in the mouth")
    neighbours: int = Field(4, ge=1, description="anchors that a Gaussian takes its state from")
    emotion_sides: tuple[int, ...] = Field((8, 16, 24), description="cells of the emotion planes' sides, one per scale")
    emotion_channels: int = Field(16, ge=1, description="channels of each emotion plane and of its code-book")
    released_memory: bool = Field(False, description="code-books start as the release's do: nearly deaf to the emotion")
    view_noise: float = Field(
        1.0, ge=0, description="noise added in each step to what the views besides audio hear, in standard deviations"
    )
    view_dropout: float = Field(0.1, ge=0, lt=1, description="share of the steps in which such a view is left out")
    bagging: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="share of the clip's seconds that a member is not sampled in",
    )
    doubt_weight: float = Field(
        0.01,
        ge=0,
        description="weight of the likelihood of the picture's residual; 0: nothing tells the variances what they mean",
    )
    doubt_interval: int = Field(4, ge=1, description="steps between two looks at the likelihood")


class DensifySettings(Settings):
    """When Gaussians are added and removed (3D Gaussian splatting, TalkingGaussian's thresholds)."""

    start: int = 500
    stop: int = 45_000
    interval: int = Field(100, ge=1)
    gradient_threshold: float = Field(2e-4, description="mean screen gradient (in halves of the image) that splits")
    opacity_start: float = Field(0.05, description="Gaussians below this opacity are removed at the start,")
    opacity_stop: float = Field(0.30, description="and below this one at the end")
    max_gaussians: int = Field(200_000, ge=1)


class BranchTraining(Settings):
    """One branch: its Gaussians, its net, its schedule."""

    iterations: int = Field(50_000, ge=1)
    warmup: int = Field(3_000, ge=0, description="iterations before anything moves")
    initial_gaussians: int = Field(10_000, ge=1)
    densify: DensifySettings = DensifySettings()
    position_rate: float = Field(1.6e-4, description="learning rate of positions, times the scene's extent")
    position_rate_stop: float = 1.6e-6
    colour_rate: float = 2.5e-3
    opacity_rate: float = 0.05
    scale_rate: float = 3e-3
    rotation_rate: float = 1e-3
    plane_rate: float = 5e-3
    net_rate: float = Field(5e-4, description="learning rate of the nets, times the root of the members")
    plane_decay: float = Field(0.01, description="weight decay of the planes")
    net_decay: float = 0.0
    halve_until: int = Field(
        40_000, ge=1, description="net rates halve over this many iterations, then fall to a tenth"
    )
    curriculum_until: int = Field(40_000, description="until here some frames are chosen by mouth opening or blink")
    curriculum_interval: int = Field(15, ge=1, description="every so many iterations one frame is chosen")
    hair_interval: int = Field(7, ge=1, description="hair counts once in so many iterations (face)")
    hair_until: int = 46_000
    freeze_from: int | None = Field(None, description="from here only colours train (mouth)")
    ensemble_from: int = Field(15_000, ge=0, description="from here all members are asked, before it one of each view")
    pose_rate: float = Field(0.0, ge=0, description="learning rate of the training frames' poses; 0 keeps them")
    motion_weight: float = 1e-5
    silhouette_weight: float = 1e-3
    attention_weight: float = 1e-4
    perceptual_from: int | None = Field(None, description="from here a patch is compared by a network as well")
    perceptual_weight: float = 0.5


class FuseTraining(Settings):
    """Colours and opacities of both branches on whole frames."""

    iterations: int = Field(10_000, ge=0)
    opacity_rate: float = 1e-3
    colour_rate: float = 2.5e-3
    perceptual_from: int | None = 5_000
    perceptual_weight: float = 0.5
    doubt_iterations: int = Field(2_000, ge=0, description="steps that fit what the beliefs' variance means in pixels")
    doubt_rate: float = 5e-3


class TrainingSettings(Settings):
    """All of training. The defaults are the published schedule (method: TalkingGaussian, UA-3DTalk)."""

    audio: AudioSettings = AudioSettings()
    views: tuple[Literal["audio", "action_units", "lip_expression", "voice_style", "emotion"], ...] = Field(
        ("audio", "action_units"), description="what the nets see of a frame; the mouth sees what comes from speech"
    )
    landmark_motion: bool = Field(
        True, description="the face's motion begins with its landmarks', linear in the controls; false: nets alone"
    )
    beliefs: BeliefSettings | None = Field(None, description="null: one net joins the views (TalkingGaussian)")
    mouth: BranchTraining = BranchTraining(
        curriculum_until=39_000, curriculum_interval=7, halve_until=39_000, freeze_from=49_000
    )
    face: BranchTraining = BranchTraining(
        initial_gaussians=2_000,
        densify=DensifySettings(stop=49_000, gradient_threshold=5e-4),
    )
    fuse: FuseTraining = FuseTraining()
    sh_degree: int = Field(2, ge=0, le=3)
    ssim_weight: float = 0.2
    plane_sides: tuple[int, ...] = Field((16, 25, 38), description="cells of the tri-plane's sides, one per scale")
    plane_channels: int = 4
    plane_combine: Literal["concat", "product"] = Field(
        "concat", description="planes side by side (TalkingGaussian's grids) or multiplied (UA-3DTalk's release)"
    )
    hidden: int = 64
    perceptual: Literal["none", "squeeze_features", "lpips_alex"] = Field(
        "squeeze_features", description="network of the perceptual loss"
    )
    perceptual_patch: int = Field(96, ge=32, description="side of the patch that a step compares by it, px")
    checkpoint_seconds: float = Field(20.0, gt=0, description="a killed run loses at most this much work")
    device: str = "auto"
    rasteriser: Literal["auto", "reference", "native", "gsplat"] = "auto"
