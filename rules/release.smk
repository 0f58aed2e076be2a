"""An actor's bundle for the released code."""


rule release:
    """Write the data folder that the released UA-3DTalk reads: the six tensors that nothing else makes, and the rest."""
    input:
        **BUNDLE,
        priors="results/{actor}/priors.npz",
        emotion="results/{actor}/emotion.npz",
    output:
        folder=directory("results/{actor}/release"),
        picture=report(
            "results/{actor}/pictures/release.png",
            caption="captions/release.rst",
            category="{actor}",
        ),
    log:
        "results/{actor}/logs/release.log",
    benchmark:
        "results/{actor}/benchmarks/release.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("release"),
        runtime=minutes("release"),
    params:
        state=release_state,
    script:
        "../workflow_scripts/release.py"
