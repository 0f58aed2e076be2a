"""Rule speech."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.speech.features import extract_features

    weights = snakemake.input.model  # the parts of one folder, none for features from a file
    extract_features(
        subject=run.subject,
        model=Path(weights[0]).parent if weights else None,
        out=Path(snakemake.output.speech),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
