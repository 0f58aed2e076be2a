"""Numbers that can be compared."""


rule metrics:
    """Figures of the renders, of the truth itself and of three trivial opponents."""
    input:
        **BUNDLE,
        **SYNC,
        rows="results/{actor}/renders/test.json",
        frames="results/{actor}/renders/test",
        compressed=["results/{actor}/renders/test.mp4", "results/{actor}/renders/truth.mp4"],
        landmarker=asset("face_landmarker"),
        weights=figure_weights,
        deep3d=file_of("metrics", "deep3d", "metrics.deep3d"),
        syncnet=syncnet_weights,
    output:
        metrics="results/{actor}/metrics.json",
        frames="results/{actor}/metrics_frames.csv",
        picture=report(
            "results/{actor}/pictures/metrics.png",
            caption="captions/metrics.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/metrics.log",
    benchmark:
        "results/{actor}/benchmarks/metrics.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("metrics"),
        runtime=minutes("metrics"),
    params:
        state=state_of("metrics"),
    script:
        "../workflow_scripts/metrics.py"
