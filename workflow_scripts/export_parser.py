"""Rule export_parser."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake):
    from ua3dtalk.face.regions import export_parser

    export_parser(weights=Path(snakemake.input.weights), out=Path(snakemake.output.model))
