"""Rule fetch_asset."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake):
    from ua3dtalk.assets import fetch

    fetch(snakemake.params.name, Path(snakemake.output[0]))
