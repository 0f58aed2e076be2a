"""The stages of training: listening, the inside of the mouth, the face, and both branches together."""

BUNDLE = {
    "clips": "results/{actor}/clips.json",
    "video": "results/{actor}/video.npy",
    "sound": "results/{actor}/audio.wav",
    "landmarks": "results/{actor}/landmarks.npz",
    "regions": "results/{actor}/regions.npy",
    "tracking": "results/{actor}/tracking.npz",
    "expression": "results/{actor}/expression.npz",
    "plate": "results/{actor}/layers/plate.png",
    "torso": "results/{actor}/layers/torso.npy",
    "speech": "results/{actor}/speech.npz",
}


rule train_audio:
    """Learn to read the lips' shapes from speech; both branches are driven by what it reads."""
    input:
        **BUNDLE,
    output:
        model="results/{actor}/model/audio.safetensors",
        picture=report(
            "results/{actor}/pictures/train_audio.png",
            caption="captions/train_audio.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/train_audio.log",
    benchmark:
        "results/{actor}/benchmarks/train_audio.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("train_audio"),
        runtime=minutes("train_audio"),
    params:
        state=state_of("train_audio"),
    script:
        "../workflow_scripts/train_audio.py"


rule train_mouth:
    """Train the branch that fills the open mouth."""
    input:
        **BUNDLE,
        seen=seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_mouth"),
    output:
        model="results/{actor}/model/mouth.safetensors",
        losses="results/{actor}/curves/train_mouth.json",
        picture=report(
            "results/{actor}/pictures/train_mouth.png",
            caption="captions/train_mouth.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/train_mouth.log",
    benchmark:
        "results/{actor}/benchmarks/train_mouth.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 8
    resources:
        mem_mb=memory("train_mouth"),
        runtime=minutes("train_mouth"),
    params:
        state=state_of("train_mouth"),
    script:
        "../workflow_scripts/train_branch.py"


rule train_face:
    """Train the branch of face and hair."""
    input:
        **BUNDLE,
        seen=seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_face"),
    output:
        model="results/{actor}/model/face.safetensors",
        losses="results/{actor}/curves/train_face.json",
        picture=report(
            "results/{actor}/pictures/train_face.png",
            caption="captions/train_face.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/train_face.log",
    benchmark:
        "results/{actor}/benchmarks/train_face.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 8
    resources:
        mem_mb=memory("train_face"),
        runtime=minutes("train_face"),
    params:
        state=state_of("train_face"),
    script:
        "../workflow_scripts/train_branch.py"


rule train_fuse:
    """Let colours and opacities of both branches agree on whole frames."""
    input:
        **BUNDLE,
        seen=seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_fuse"),
        mouth="results/{actor}/model/mouth.safetensors",
        face="results/{actor}/model/face.safetensors",
    output:
        model="results/{actor}/model/fused.safetensors",
        losses="results/{actor}/curves/train_fuse.json",
        picture=report(
            "results/{actor}/pictures/train_fuse.png",
            caption="captions/train_fuse.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/train_fuse.log",
    benchmark:
        "results/{actor}/benchmarks/train_fuse.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 8
    resources:
        mem_mb=memory("train_fuse"),
        runtime=minutes("train_fuse"),
    params:
        state=state_of("train_fuse"),
    script:
        "../workflow_scripts/train_fuse.py"
