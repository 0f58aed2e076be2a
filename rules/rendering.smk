"""Frames from the trained head."""


rule render_test:
    """Render the held-out frames, driven by their audio, and their truth beside them."""
    input:
        **BUNDLE,
        seen=seen,
        model="results/{actor}/model/fused.safetensors",
    output:
        rows="results/{actor}/renders/test.json",
        frames=pixels(directory("results/{actor}/renders/test")),
        video="results/{actor}/renders/test.mp4",
        truth="results/{actor}/renders/truth.mp4",
        picture=report(
            "results/{actor}/pictures/render_test.png",
            caption="captions/render_test.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/render_test.log",
    benchmark:
        "results/{actor}/benchmarks/render_test.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 8
    resources:
        mem_mb=memory("render_test"),
        runtime=minutes("render_test"),
    params:
        state=state_of("render_test"),
    script:
        "../workflow_scripts/render_test.py"
