"""Pages for a person to read: one per actor, and one that compares."""


rule report:
    """Write the page of an actor: films in step, curves, figures, cost and provenance in one file."""
    input:
        **BUNDLE,
        seen=seen,
        metrics="results/{actor}/metrics.json",
        table="results/{actor}/metrics_frames.csv",
        rows="results/{actor}/renders/test.json",
        frames="results/{actor}/renders/test",
        losses=expand("results/{{actor}}/curves/{stage}.json", stage=["train_mouth", "train_face", "train_fuse"]),
        cross=voices_driven,
    output:
        page="results/{actor}/report.html",
    log:
        "results/{actor}/logs/report.log",
    benchmark:
        "results/{actor}/benchmarks/report.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("report"),
        runtime=minutes("report"),
    params:
        state=report_state,
    script:
        "../workflow_scripts/report.py"


rule compare:
    """Compare methods over actors and seeds: means, spread, paired intervals, beside the truth and trivial opponents."""
    input:
        metrics=compared_runs(f"{RUN}/metrics.json"),
        tables=compared_runs(f"{RUN}/metrics_frames.csv"),
        renders=compared_runs(f"{RUN}/renders/test.json"),
        videos=compared_runs("results/{actor}/video.npy"),
    output:
        table="results/compare.json",
        markdown="results/compare.md",
        csv="results/compare.csv",
        latex="results/compare.tex",
        page="results/compare.html",
    log:
        "results/.compare/logs/compare.log",
    benchmark:
        "results/.compare/benchmarks/compare.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 2
    resources:
        mem_mb=memory("compare"),
        runtime=minutes("compare"),
    params:
        state=compare_state,
    script:
        "../workflow_scripts/compare.py"


rule summary:
    """Write one page, and the same as a table, about all actors: how far each came, figures, cost, why one failed."""
    input:
        expand("results/{actor}/metrics.json", actor=CONFIG.actors),
    output:
        page="results/summary.html",
        table="results/summary.csv",
    log:
        "results/.summary/logs/summary.log",
    benchmark:
        "results/.summary/benchmarks/summary.tsv"
    conda:
        "../envs/ua3dtalk.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        state=summary_state,
    script:
        "../workflow_scripts/summary.py"
