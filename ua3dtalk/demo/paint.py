"""Colour of every vertex of the built-in actor: linear RGB, gloss, and how much light goes through the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ua3dtalk.demo.figure import CLOTH, EYE, GUM, LASH, MOUTH, SKIN, TONGUE, TOOTH, Figure
from ua3dtalk.demo.hair import brow_arch, scalp_membership
from ua3dtalk.demo.noise import fractal_noise, smoothstep, value_noise

SKIN_TONE = np.array([0.585, 0.350, 0.250])
BLUSH = np.array([0.62, 0.235, 0.175])
LIP_TONE = np.array([0.44, 0.115, 0.105])
HAIR_TONE = np.array([0.105, 0.047, 0.022])
TOOTH_TONE = np.array([0.80, 0.76, 0.68])
CLOTH_TONE = np.array([0.135, 0.020, 0.030])  # of hues that were tried the parser took this one for cloth most surely


@dataclass(frozen=True)
class Paint:
    """albedo [F, 3] linear; gloss [F] strength and power [F] exponent of the highlight; through [F] 0..1, how far
    light bleeds round the terminator."""

    albedo: np.ndarray
    gloss: np.ndarray
    power: np.ndarray
    through: np.ndarray

    def of(self, which: np.ndarray) -> Paint:
        """Of some vertices."""
        return Paint(self.albedo[which], self.gloss[which], self.power[which], self.through[which])


def paint(figure: Figure) -> Paint:
    """Colour all vertices from their rest positions."""
    count = len(figure.rest)
    albedo, gloss = np.zeros((count, 3)), np.zeros(count)
    power, through = np.full(count, 20.0), np.zeros(count)
    part = figure.part
    skin = (part == SKIN) | (part == MOUTH)
    albedo[skin], gloss[skin], power[skin] = _skin(figure, skin)
    through[skin] = 1.0
    mouth = part == MOUTH
    albedo[mouth] = [0.20, 0.045, 0.045]
    gloss[mouth], power[mouth] = 0.25, 40
    tooth = part == TOOTH
    albedo[tooth] = TOOTH_TONE * (1 + 0.04 * value_noise(figure.rest[tooth], 0.004, 7)[:, None])
    gloss[tooth], power[tooth], through[tooth] = 0.30, 60, 0.6
    behind = figure.rest[tooth, 2] - figure.rest[tooth, 2].min()
    albedo[tooth] *= (1 - 0.75 * smoothstep(0.004, 0.028, behind))[:, None]
    albedo[part == GUM] = [0.50, 0.19, 0.18]
    gloss[part == GUM], power[part == GUM], through[part == GUM] = 0.3, 40, 0.6
    albedo[part == LASH] = [0.018, 0.012, 0.010]
    tongue = part == TONGUE
    albedo[tongue] = np.array([0.42, 0.12, 0.12]) * (1 + 0.15 * value_noise(figure.rest[tongue], 0.0012, 3)[:, None])
    gloss[tongue], power[tongue], through[tongue] = 0.3, 40, 0.6
    eye = part == EYE
    albedo[eye] = _eyes(figure)
    gloss[eye], power[eye], through[eye] = 1.6, 420, 0.5
    cloth = part == CLOTH
    albedo[cloth] = _cloth(figure.rest[cloth])
    gloss[cloth], power[cloth], through[cloth] = 0.02, 8, 0.15
    return Paint(*(values.astype(np.float32) for values in (np.clip(albedo, 0, 1), gloss, power, through)))


def _skin(figure: Figure, skin: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p = figure.rest[skin].astype(np.float64)
    mask = {name: values[skin] for name, values in figure.masks.items()}
    tone = SKIN_TONE * (1 + 0.045 * fractal_noise(p, 0.014, 4, 1)[:, None] + 0.03 * value_noise(p, 0.0011, 2)[:, None])
    cheek = np.exp(-(((np.abs(p[:, 0]) - 0.040) / 0.017) ** 2) - ((p[:, 1] - 0.020) / 0.016) ** 2) * (p[:, 2] < 0.02)
    nose_tip = np.exp(-((p[:, 0] / 0.013) ** 2) - ((p[:, 1] - 0.022) / 0.011) ** 2) * (p[:, 2] < -0.05)
    warm = np.clip(0.42 * cheek + 0.40 * nose_tip + 0.35 * mask["ears"], 0, 1)[:, None]
    tone = tone * (1 - warm) + BLUSH * warm
    freckle = smoothstep(0.52, 0.72, value_noise(p, 0.0019, 4)) * smoothstep(0.1, 0.5, value_noise(p, 0.011, 6) + 0.4)
    where = np.exp(-(((np.abs(p[:, 0]) - 0.024) / 0.026) ** 2) - ((p[:, 1] - 0.010) / 0.013) ** 2) * (p[:, 2] < -0.02)
    tone = tone * (1 - 0.22 * (freckle * where)[:, None] * [0.6, 0.9, 1.0])
    lids = smoothstep(0.25, 0.9, mask["eyelids"])[:, None]
    tone = tone * (1 - 0.55 * lids * [0.75, 1.0, 0.95])
    lips = smoothstep(0.25, 0.75, mask["lips"])[:, None]
    lip = LIP_TONE * (1 + 0.10 * value_noise(p * [1, 0.25, 1], 0.0012, 8)[:, None])
    tone = tone * (1 - lips) + lip * lips
    tone = _under_brows(figure, p, tone)
    hair = smoothstep(-0.004, 0.006, scalp_membership(p))[:, None] * (1 - mask["ears"][:, None])
    tone = tone * (1 - hair) + 0.75 * HAIR_TONE * hair
    oily = np.exp(-((p[:, 0] / 0.016) ** 2)) * (p[:, 2] < -0.03)
    gloss = 0.16 + 0.10 * oily + 0.30 * lips[:, 0] - 0.13 * hair[:, 0]
    return tone, gloss, 14 + 10 * oily + 26 * lips[:, 0]


def _under_brows(figure: Figure, p: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """A soft shade under the brows' hairs."""
    line = brow_arch(np.linspace(0, 1, 40))
    for side, eye in ((1.0, figure.eye_centres[0]), (-1.0, figure.eye_centres[1])):
        middle = np.stack([side * (line[:, 0] + abs(eye[0])), line[:, 1] + eye[1]], axis=1)
        near = (p[:, 2] < 0.01) & (np.abs(p[:, 1] - eye[1]) < 0.05)
        distance = np.linalg.norm(p[near][:, None, :2] - middle, axis=2).min(axis=1)
        shade = 0.55 * smoothstep(0.0052, 0.0012, distance)[:, None]
        tone[near] = tone[near] * (1 - shade) + 0.8 * HAIR_TONE * shade
    return tone


def _eyes(figure: Figure) -> np.ndarray:
    """White with a tint of pink, a hazel iris with fibres and a dark rim, a black pupil."""
    out = []
    for index, centre in enumerate(figure.eye_centres):
        first = figure.eye_first + index * figure.eye_count
        d = figure.rest[first : first + figure.eye_count] - centre
        d = d / np.linalg.norm(d, axis=1, keepdims=True)
        angle = np.arccos(np.clip(-d[:, 2], -1, 1))
        turn = np.stack([np.cos(np.arctan2(d[:, 1], d[:, 0])), np.sin(np.arctan2(d[:, 1], d[:, 0]))], axis=1)
        iris_size, pupil = 0.45, 0.19
        radius = angle / iris_size
        fibre = 0.5 + 0.5 * value_noise(np.concatenate([turn * 14, radius[:, None] * 1.5], axis=1), 1.0, 11)
        ring = smoothstep(0.45, 0.75, radius)[:, None]
        inner, outer = np.array([0.30, 0.15, 0.04]), np.array([0.085, 0.125, 0.085])
        iris = (inner * (1 - ring) + outer * ring) * (0.35 + 0.62 * fibre[:, None])
        iris = iris * (1 - 0.75 * smoothstep(0.82, 1.0, radius)[:, None])
        veins = np.abs(value_noise(np.concatenate([turn * 9, angle[:, None] * 2], axis=1), 1.0, 12))
        white = np.array([0.60, 0.565, 0.54]) * (1 - 0.05 * veins[:, None] * [0, 1, 1])
        pink = smoothstep(0.75, 1.25, angle)[:, None]
        white = white * (1 - 0.35 * pink * [0.2, 1, 0.9])
        inside = smoothstep(iris_size + 0.03, iris_size - 0.02, angle)[:, None]
        tone = white * (1 - inside) + iris * inside
        tone = tone * (1 - 0.97 * smoothstep(pupil + 0.02, pupil - 0.015, angle)[:, None])
        shade = 0.62 + 0.38 * smoothstep(-0.42, 0.02, d[:, 1])  # the upper lid and its lashes keep light off
        out.append(tone * shade[:, None])
    return np.concatenate(out)


def _cloth(p: np.ndarray) -> np.ndarray:
    """Soft wool, slightly uneven."""
    return CLOTH_TONE * (1 + 0.10 * fractal_noise(p, 0.05, 3, 21)[:, None] + 0.05 * value_noise(p, 0.012, 22)[:, None])
