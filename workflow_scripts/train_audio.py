"""Rule train_audio."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.training.stages import train_audio

    train_audio(
        subject=run.subject,
        out=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
