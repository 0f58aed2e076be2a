"""Rule speech."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.speech.features import extract_features

    extract_features(
        subject=run.subject,
        model=Path(snakemake.input.model[0]).parent,
        out=Path(snakemake.output.speech),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
