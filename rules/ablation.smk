"""The table of the paper's ablation: every method on one actor's split, with the same seeds."""


wildcard_constraints:
    method="|".join(re.escape(name) for name in preset_names("method")),
    seed=r"\d+",


use rule train_mouth as ablation_mouth with:
    input:
        **BUNDLE,
        seen=run_seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_mouth"),
    output:
        model=f"{RUN}/model/mouth.safetensors",
        losses=f"{RUN}/curves/train_mouth.json",
        picture=f"{RUN}/pictures/train_mouth.png",
    log:
        f"{RUN}/logs/train_mouth.log",
    benchmark:
        f"{RUN}/benchmarks/train_mouth.tsv"
    params:
        **run_params("train_mouth"),


use rule train_face as ablation_face with:
    input:
        **BUNDLE,
        seen=run_seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_face"),
    output:
        model=f"{RUN}/model/face.safetensors",
        losses=f"{RUN}/curves/train_face.json",
        picture=f"{RUN}/pictures/train_face.png",
    log:
        f"{RUN}/logs/train_face.log",
    benchmark:
        f"{RUN}/benchmarks/train_face.tsv"
    params:
        **run_params("train_face"),


use rule train_fuse as ablation_fuse with:
    input:
        **BUNDLE,
        seen=run_seen,
        audio="results/{actor}/model/audio.safetensors",
        perceptual=perceptual_weights("train_fuse"),
        mouth=f"{RUN}/model/mouth.safetensors",
        face=f"{RUN}/model/face.safetensors",
    output:
        model=f"{RUN}/model/fused.safetensors",
        losses=f"{RUN}/curves/train_fuse.json",
        picture=f"{RUN}/pictures/train_fuse.png",
    log:
        f"{RUN}/logs/train_fuse.log",
    benchmark:
        f"{RUN}/benchmarks/train_fuse.tsv"
    params:
        **run_params("train_fuse"),


use rule render_test as ablation_render with:
    input:
        **BUNDLE,
        seen=run_seen,
        model=f"{RUN}/model/fused.safetensors",
    output:
        rows=f"{RUN}/renders/test.json",
        frames=directory(f"{RUN}/renders/test"),
        video=f"{RUN}/renders/test.mp4",
        truth=f"{RUN}/renders/truth.mp4",
        picture=f"{RUN}/pictures/render_test.png",
    log:
        f"{RUN}/logs/render_test.log",
    benchmark:
        f"{RUN}/benchmarks/render_test.tsv"
    params:
        **run_params("render_test"),


use rule metrics as ablation_metrics with:
    input:
        **BUNDLE,
        **SYNC,
        rows=f"{RUN}/renders/test.json",
        frames=f"{RUN}/renders/test",
        compressed=[f"{RUN}/renders/test.mp4", f"{RUN}/renders/truth.mp4"],
        landmarker=asset("face_landmarker"),
        weights=figure_weights,
        deep3d=file_of("metrics", "deep3d", "metrics.deep3d"),
        syncnet=syncnet_weights,
    output:
        metrics=f"{RUN}/metrics.json",
        frames=f"{RUN}/metrics_frames.csv",
        picture=f"{RUN}/pictures/metrics.png",
    log:
        f"{RUN}/logs/metrics.log",
    benchmark:
        f"{RUN}/benchmarks/metrics.tsv"
    params:
        **run_params("metrics"),


rule ablation:
    """Compare the methods of the ablation over their seeds."""
    input:
        metrics=all_runs,
    output:
        table="results/{actor}/ablation.json",
        page="results/{actor}/ablation.md",
    log:
        "results/{actor}/logs/ablation.log",
    benchmark:
        "results/{actor}/benchmarks/ablation.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    resources:
        mem_mb=memory("ablation"),
        runtime=minutes("ablation"),
    params:
        state=lambda wildcards: digest(
            [
                run_states(method, str(seed)).of("metrics", wildcards.actor)
                for method in CONFIG.stage("ablation").methods
                for seed in CONFIG.stage("ablation").seeds
            ]
        ),
    script:
        "../workflow_scripts/ablation.py"
