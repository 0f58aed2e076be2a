"""A small reader of moving heads, written from glTF's specification alone: nothing of the writer is used."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ua3dtalk.splat.camera import Camera

TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
SPLATS = "KHR_gaussian_splatting:"
FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Splats:
    """What a frame draws: means [N, 3], quats [N, 4] w first, scales [N, 3], doubt [N] or None."""

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    doubt: torch.Tensor | None


class Glb:
    """One file."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        magic, version, length, json_length, json_kind = struct.unpack_from("<5I", content)
        assert (magic, version, length, json_kind) == (0x46546C67, 2, len(content), 0x4E4F534A)
        self.document: dict[str, Any] = json.loads(content[20 : 20 + json_length])
        binary_length, binary_kind = struct.unpack_from("<2I", content, 20 + json_length)
        assert binary_kind == 0x004E4942 and json_length % 4 == binary_length % 4 == 0
        self.binary = content[28 + json_length :]
        assert len(self.binary) == binary_length == self.document["buffers"][0]["byteLength"]

    def view(self, index: int) -> bytes:
        view = self.document["bufferViews"][index]
        return self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def values(self, index: int) -> np.ndarray:
        """Numbers of an accessor, [n, width], as they are meant."""
        told = self.document["accessors"][index]
        kind, width = TYPES[told["componentType"]], WIDTHS[told["type"]]
        if "bufferView" not in told:
            return np.zeros((told["count"], width))
        stride = self.document["bufferViews"][told["bufferView"]].get("byteStride", width * np.dtype(kind).itemsize)
        assert stride % 4 == 0 or told["type"] == "SCALAR"
        rows = np.frombuffer(self.view(told["bufferView"]), np.uint8).reshape(told["count"], stride)
        found = np.ascontiguousarray(rows[:, : width * np.dtype(kind).itemsize]).view(kind)
        if "min" in told:
            assert np.array_equal(found.min(0), np.array(told["min"], kind))
            assert np.array_equal(found.max(0), np.array(told["max"], kind))
        return found / np.iinfo(kind).max if told.get("normalized") else found.astype(np.float64)

    @property
    def extras(self) -> dict[str, Any]:
        return self.document["extras"]["ua3dtalk"]

    @cached_property
    def primitive(self) -> dict[str, Any]:
        return self.document["meshes"][0]["primitives"][0]

    @cached_property
    def attributes(self) -> dict[str, np.ndarray]:
        return {name: self.values(index) for name, index in self.primitive["attributes"].items()}

    @cached_property
    def targets(self) -> list[dict[str, np.ndarray]]:
        return [{name: self.values(i) for name, i in each.items()} for each in self.primitive.get("targets", [])]

    @cached_property
    def tracks(self) -> dict[str, np.ndarray]:
        """Times [T], weights [T, M], translation [T, 3] and rotation [T, 4] of the camera."""
        film = self.document["animations"][0]
        found = {"times": self.values(film["samplers"][0]["input"])[:, 0]}
        for channel in film["channels"]:
            values = self.values(film["samplers"][channel["sampler"]]["output"])
            node = self.document["nodes"][channel["target"]["node"]]["name"]
            assert node == ("head" if channel["target"]["path"] == "weights" else "camera")
            found[channel["target"]["path"]] = values.reshape(len(found["times"]), -1)
        return found

    @property
    def opacities(self) -> torch.Tensor:
        return torch.from_numpy(self.attributes[f"{SPLATS}OPACITY"][:, 0]).float()

    @property
    def sh(self) -> torch.Tensor:
        names = [f"{SPLATS}SH_DEGREE_{d}_COEF_{n}" for d in range(4) for n in range(2 * d + 1)]
        return torch.from_numpy(np.stack([self.attributes[n] for n in names if n in self.attributes], 1)).float()

    def splats(self, frame: int) -> Splats:
        """The morphed Gaussians of a frame."""
        moved = {name: values.copy() for name, values in self.attributes.items()}
        for weight, target in zip(self.tracks.get("weights", [[]] * (frame + 1))[frame], self.targets, strict=True):
            for name, values in target.items():
                moved[name] += weight * values
        tensors = {name: torch.from_numpy(values).float() for name, values in moved.items()}
        quats = tensors[f"{SPLATS}ROTATION"][:, [3, 0, 1, 2]]
        doubt = tensors["_DOUBT"][:, 0] if "_DOUBT" in tensors else None
        return Splats(tensors["POSITION"], quats, tensors[f"{SPLATS}SCALE"], doubt)

    def camera(self, frame: int) -> Camera:
        """The camera of a frame, from its node's way and the node of the head."""
        head = Rotation.from_quat(self.document["nodes"][0]["rotation"]).as_matrix()
        assert np.allclose(head, FLIP)
        turn = Rotation.from_quat(self.tracks["rotation"][frame]).as_matrix()
        world_to_camera = FLIP @ turn.T  # glTF's cameras look along -z
        pose = np.eye(4)
        pose[:3, :3] = world_to_camera @ head
        pose[:3, 3] = -world_to_camera @ self.tracks["translation"][frame]
        fx, fy, cx, cy = self.values(self.extras["intrinsics"])[frame]
        K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]).float()
        return Camera(torch.from_numpy(pose).float(), K, self.extras["width"], self.extras["height"])
