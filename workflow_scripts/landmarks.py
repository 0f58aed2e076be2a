"""Rule landmarks."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.landmarks import extract_landmarks

    extract_landmarks(
        subject=run.subject,
        model=Path(snakemake.input.model),
        out=Path(snakemake.output.landmarks),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
