"""Rule regions."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.regions import parse_regions

    parse_regions(
        subject=run.subject,
        model=Path(snakemake.input.model),
        out=Path(snakemake.output.regions),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
