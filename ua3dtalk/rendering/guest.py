"""A guest: another person whose clip is an example of how to move or to speak."""

from __future__ import annotations

from os.path import isfile
from pathlib import Path

from ua3dtalk.assets import fetch
from ua3dtalk.errors import InputError
from ua3dtalk.face.expression import extract_expression
from ua3dtalk.face.landmarks import extract_landmarks
from ua3dtalk.face.locate import locate_face
from ua3dtalk.face.tracking import track_head
from ua3dtalk.media.decode import decode_clips
from ua3dtalk.settings import FaceSettings, MediaSettings
from ua3dtalk.subject import ClipSource, Subject

LONGEST = 120.0  # s of a guest's clip: its frames are kept on disk while they are looked at
UNUSED = "-"  # state of files that nobody keeps


def open_guest(text: str, folder: Path) -> Subject:
    """A guest's clips.json, landmarks, tracking and expression.

    Args:
        text: a bundle's folder, or any video of one face.
        folder: empty; where the bundle of a video is made.
    Raises:
        UserError: one line for a file that is missing, or shows no face.
    """
    path = Path(text)
    if isfile(path / "expression.npz"):
        return Subject(path)
    if not isfile(path):
        raise InputError(
            f"{text}: no video and no actor's folder is there (looked from {Path.cwd()}): correct the path"
        )
    folder.mkdir(parents=True)
    media, face = MediaSettings(max_seconds=LONGEST), FaceSettings()
    crop, picture, landmarker = folder / "crop.json", folder / "picture.png", fetch("face_landmarker")
    locate_face(
        clips=[ClipSource(path)],
        model=landmarker,
        out=crop,
        picture=picture,
        settings=media,
        state=UNUSED,
        need_audio=False,
    )
    clips, video = folder / "clips.json", folder / "video.npy"
    decode_clips(crop=crop, out_clips=clips, out_video=video, picture=picture, settings=media, state=UNUSED)
    subject = Subject(folder)
    points, poses, shapes = (folder / f"{name}.npz" for name in ("landmarks", "tracking", "expression"))
    extract_landmarks(subject=subject, model=landmarker, out=points, picture=picture, settings=face, state=UNUSED)
    track_head(subject=subject, out=poses, picture=picture, settings=face, state=UNUSED)
    extract_expression(subject=subject, out=shapes, picture=picture, settings=face, state=UNUSED)
    return subject
