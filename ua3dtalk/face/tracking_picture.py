"""The picture of the tracking stage: the fitted head on frames, its angles and its residual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ua3dtalk.face.basis import expression_basis
from ua3dtalk.face.geometry import head_angles, project
from ua3dtalk.subject import Subject
from ua3dtalk.workflow import atomic

TILE = 400  # px
AXIS = 0.06  # m


def draw_tracking(subject: Subject, result: dict[str, np.ndarray], picture: Path) -> None:
    """Four frames with mesh and axes (x red, y green, z blue), curves below.

    result: the arrays of tracking.npz. The frames: most left, most right, median and worst residual.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    angles = head_angles(result["world_to_camera"][:, :3, :3])
    residual = np.nan_to_num(result["residual"])
    middle = np.abs(angles - np.median(angles, 0)).sum(1)
    chosen = [
        int(np.argmin(angles[:, 0])),
        int(np.argmax(angles[:, 0])),
        int(np.argmin(middle)),
        int(np.argmax(residual)),
    ]
    titles = ("most to the left", "most to the right", "middle", "worst residual")
    figure = plt.figure(figsize=(16, 9), constrained_layout=True)
    grid = figure.add_gridspec(3, 4, height_ratios=(4, 1.3, 1.3))
    for column, (frame, title) in enumerate(zip(chosen, titles, strict=True)):
        axis = figure.add_subplot(grid[0, column])
        axis.imshow(np.asarray(overlay(subject.video[frame], result, frame)))
        axis.set_title(f"{title}: frame {frame}", fontsize=9)
        axis.axis("off")
    turn, error = figure.add_subplot(grid[1, :]), figure.add_subplot(grid[2, :])
    for k, name in enumerate(("yaw", "pitch", "roll")):
        turn.plot(angles[:, k], lw=0.8, label=name)
    turn.set_ylabel("degrees")
    turn.legend(fontsize=7, ncol=3, loc="upper right")
    error.plot(result["residual"], lw=0.8)
    error.set_ylabel("residual, px")
    error.set_ylim(0)
    for axis in (turn, error):
        for clip in subject.clips:
            axis.axvspan(clip.test_first, clip.end, color="0.92")
        axis.set_xlim(0, len(residual))
    error.set_xlabel(f"frame (held-out frames shaded); focal length {result['K'][0, 0, 0]:.0f} px")
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)


def overlay(frame: np.ndarray, result: dict[str, np.ndarray], index: int) -> Image.Image:
    """One frame [H, W, 3] with the fitted mesh, points and axes."""
    basis = expression_basis()
    pose, intrinsics = result["world_to_camera"][index], result["K"][index]
    head = result["neutral"] + np.tensordot(result["expression"][index], basis.shapes, 1)
    scale = TILE / frame.shape[1]
    image = Image.fromarray(frame).resize((TILE, TILE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image, "RGBA")
    marks = project(head, pose, intrinsics) * scale
    for a, b, c in basis.triangles:
        draw.line([tuple(marks[k]) for k in (a, b, c, a)], fill=(80, 255, 160, 70))
    for x, y in marks:
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(255, 230, 60, 200))
    origin = result["neutral"][168]
    tips = project(np.vstack([origin, origin + AXIS * np.eye(3)]), pose, intrinsics) * scale
    for tip, colour in zip(tips[1:], ((255, 60, 60), (60, 220, 60), (90, 120, 255)), strict=True):
        draw.line([tuple(tips[0]), tuple(tip)], fill=colour, width=3)
    return image
