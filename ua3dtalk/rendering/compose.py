"""The layers of a picture: one deformed branch, and one laid over the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ua3dtalk.field.branch import Edits
from ua3dtalk.splat.camera import Camera
from ua3dtalk.splat.cloud import Cloud
from ua3dtalk.splat.rasterise import Backend, rasterization

LEAST_VARIANCE = 1e-5  # of a colour in 0..1; a step of 8 bits is 4e-3


@dataclass(frozen=True)
class Layer:
    """colour [H, W, 3] premultiplied by alpha, alpha [H, W, 1], meta of the rasteriser."""

    colour: Tensor
    alpha: Tensor
    meta: dict[str, Any]

    def over(self, background: Tensor) -> Tensor:
        """This layer before a background [H, W, 3] (or [3])."""
        return self.colour + (1 - self.alpha) * background


def moved(cloud: Cloud, edits: Edits | None) -> tuple[Tensor, Tensor, Tensor]:
    """Means [N, 3] m, quats [N, 4] and scales [N, 3] m of a cloud after its edits, if there are any."""
    means, quats, scales = cloud.means, cloud.quats, cloud.scales
    if edits is not None:
        means = means + edits.position if edits.position is not None else means
        quats = quats + edits.rotation if edits.rotation is not None else quats
        scales = F.softplus(cloud.raw_scales + edits.scale) if edits.scale is not None else scales
    return means, quats, scales


def draw(
    cloud: Cloud,
    edits: Edits | None,
    camera: Camera,
    sh_degree: int,
    backend: Backend = "auto",
) -> Layer:
    """Rasterise a cloud, moved by edits unless they are None."""
    means, quats, scales = moved(cloud, edits)
    colour, alpha, meta = rasterization(
        means,
        quats,
        scales,
        cloud.opacities,
        cloud.sh,
        camera.viewmat[None],
        camera.K[None],
        camera.width,
        camera.height,
        sh_degree=sh_degree,
        backend=backend,
    )
    return Layer(colour[0], alpha[0], meta)


def draw_values(cloud: Cloud, edits: Edits | None, camera: Camera, values: Tensor, backend: Backend = "auto") -> Layer:
    """Rasterise values [N, D] in place of colours; only they get a gradient."""
    means, quats, scales = moved(cloud, edits)
    drawn, alpha, meta = rasterization(
        means.detach(),
        quats.detach(),
        scales.detach(),
        cloud.opacities.detach(),
        values,
        camera.viewmat.detach()[None],
        camera.K[None],
        camera.width,
        camera.height,
        backend=backend,
    )
    return Layer(drawn[0], alpha[0], meta)


def compose(face: Layer, mouth: Layer, background: Tensor) -> Tensor:
    """The picture [H, W, 3]: the face before the inside of the mouth before torso and plate.

    Source: TalkingGaussian, I = F + (1 - a_F) (M + (1 - a_M) B).
    """
    return face.over(mouth.over(background))


def backdrop(plate: Tensor, torso: Tensor) -> Tensor:
    """Torso over the clean plate.

    Args: plate [H, W, 3] and torso [H, W, 4] uint8 (colour not premultiplied).
    Returns: [H, W, 3] in 0..1.
    """
    behind = plate.float()
    return torch.addcmul(behind, torso[..., 3:].float() / 255, torso[..., :3] - behind) / 255


def to_bytes(picture: Tensor) -> Tensor:
    """uint8 of a picture in 0..1, rounded."""
    return (picture.detach().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
