"""Rule tracking."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.tracking import track_head

    track_head(
        subject=run.subject,
        out=Path(snakemake.output.tracking),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
