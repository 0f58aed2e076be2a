"""Head motion without an end: the actor's own, in an order of its own.

Torso and head must fit each other, so what is shown are training frames, as in a video texture (Schödl, Szeliski,
Salesin and Essa 2000): they are played forwards or backwards and, now and then, go on at another frame that looks alike
and moves alike. What is left of the difference fades within half a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ua3dtalk.face.geometry import rigid, rotation_matrix, rotation_vector
from ua3dtalk.rendering.replay import Stance, background_at, camera_at
from ua3dtalk.splat.camera import Camera
from ua3dtalk.subject import Subject

LEVER = 0.1  # m: a rotation counts as the path of a point so far from the head's origin
TORSO = 0.02  # m that torsos which differ in all their pixels count as
COARSE = 16  # px between the torso's pixels that are compared
AHEAD = 4  # frames over which motion has to be alike
FEW = 6  # best places to go on at, of which one is drawn
LIKE = 3.0  # a change that need not be is left out if it is worse than so many times the usual motion in AHEAD frames
LEAST_RUN = 40  # frames between two changes
CHANGE = 1 / 40  # chance of a change in each frame after those
FADE = 12  # frames


@dataclass(frozen=True)
class Step:
    """frame: whose pose and torso are shown; off [6]: rotation vector and shift still added to the pose; before: frame
    whose torso is still seen, with which share."""

    frame: int
    off: np.ndarray
    before: int
    share: float


class Wander:
    """Where the head is in the k-th frame; the same for the same seed, whatever is asked for first.

    Nothing of a held-out frame is seen.
    """

    def __init__(self, subject: Subject, device: torch.device, seed: int) -> None:
        self.subject, self.device = subject, device
        self._plate = torch.from_numpy(subject.plate.copy()).to(device)
        self._course = Course(subject, seed)

    def __call__(self, frame: int) -> Stance:
        step = self._course[frame]
        camera = camera_at(self.subject, step.frame, self.device)
        background = background_at(self.subject, self._plate, step.frame)
        if step.share > 0:
            viewmat = torch.from_numpy(self._course.pose(step).astype(np.float32)).to(self.device)
            camera = Camera(viewmat, camera.K, camera.width, camera.height)
            before = background_at(self.subject, self._plate, step.before)
            background = torch.lerp(background, before, step.share)
        return Stance(camera, background)


class Course:
    """The training frames that are shown, step by step, as far as somebody asked."""

    def __init__(self, subject: Subject, seed: int) -> None:
        runs = [(clip.first, clip.test_first) for clip in subject.clips]
        frames = np.concatenate([np.arange(*run) for run in runs])
        self._first, self._stop = (np.zeros(frames[-1] + 1, int) for _ in range(2))
        for first, stop in runs:
            self._first[first:stop], self._stop[first:stop] = first, stop
        self._places = np.array([(frame, way) for frame in frames for way in (1, -1)])
        poses = subject.tracking.world_to_camera[frames]
        self._reference = poses[0, :3, :3]
        turned = rotation_vector(self._reference.T @ poses[:, :3, :3])
        looks = np.concatenate([turned * LEVER, poses[:, :3, 3], torsos(subject, frames)], 1)
        self._poses, self._looks = np.zeros((frames[-1] + 1, 6)), np.zeros((frames[-1] + 1, looks.shape[1]))
        self._poses[frames], self._looks[frames] = np.concatenate([turned, poses[:, :3, 3]], 1), looks
        self._usual = float(np.median(np.linalg.norm(self._motion(frames, np.ones(len(frames), int)), axis=1)))
        self._rng = np.random.default_rng((seed, 6))
        longest = max(runs, key=lambda run: run[1] - run[0])
        start = int(self._rng.integers(*longest))
        self._way, self._since, self._left = 1, 0, np.zeros(6)
        self._steps = [Step(start, self._left, start, 0.0)]

    def __getitem__(self, k: int) -> Step:
        while len(self._steps) <= k:
            self._steps.append(self._next())
        return self._steps[k]

    def pose(self, step: Step) -> np.ndarray:
        """World to camera [4, 4]."""
        vector = self._poses[step.frame] + step.off
        found: np.ndarray = rigid(self._reference @ rotation_matrix(vector[:3]), vector[3:])
        return found

    def _next(self) -> Step:
        last = self._steps[-1]
        ahead = last.frame + self._way
        must = not self._first[last.frame] <= ahead < self._stop[last.frame]
        may = self._since >= LEAST_RUN and self._rng.random() < CHANGE
        if (must or may) and (place := self._place(last.frame, must)) is not None:
            frame, self._way = place
            self._left = self._poses[last.frame] + last.off - self._poses[frame]
            self._since = 0
            return Step(frame, self._left, last.frame, 1.0)
        self._since += 1
        share = max(1 - self._since / FADE, 0.0)
        share = share * share * (3 - 2 * share) if last.share > 0 else 0.0
        return Step(ahead, share * self._left, last.before, share)

    def _place(self, frame: int, must: bool) -> tuple[int, int] | None:
        """Where to go on, and which way; None if nothing is like enough and nothing has to be."""
        frames, ways = self._places.T
        come = (
            self._looks[frame]
            - self._looks[max(min(frame - self._way * AHEAD, self._stop[frame] - 1), self._first[frame])]
        )
        cost = np.linalg.norm(self._looks[frames] - self._looks[frame], axis=1)
        cost = cost + np.linalg.norm(self._motion(frames, ways) - come, axis=1)
        room = np.where(ways > 0, self._stop[frames] - 1 - frames, frames - self._first[frames])
        cost[room < np.minimum(LEAST_RUN, (self._stop[frames] - self._first[frames]) // 3)] = np.inf
        cost[(np.abs(frames - frame) < LEAST_RUN) & (ways == self._way)] = np.inf
        best = np.argsort(cost, kind="stable")[:FEW]
        best = best[np.isfinite(cost[best])] if must else best[cost[best] <= LIKE * self._usual]
        if not len(best):
            return (frame, -self._way) if must else None
        chosen = self._places[self._rng.choice(best)]
        return int(chosen[0]), int(chosen[1])

    def _motion(self, frames: np.ndarray, ways: np.ndarray) -> np.ndarray:
        """How looks change from frames on, each its way: [n, D]."""
        later = np.clip(frames + ways * AHEAD, self._first[frames], self._stop[frames] - 1)
        return self._looks[later] - self._looks[frames]


def torsos(subject: Subject, frames: np.ndarray) -> np.ndarray:
    """What tells the torsos of frames [n] apart, [n, D] m: their colours where they are, coarsely."""
    coarse = np.asarray(subject.torso[:, ::COARSE, ::COARSE], np.float32)[frames].reshape(len(frames), -1, 4) / 255
    seen = (coarse[..., :3] * coarse[..., 3:]).reshape(len(coarse), -1)
    found: np.ndarray = seen * (TORSO / np.sqrt(seen.shape[1]))
    return found
