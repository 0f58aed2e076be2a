"""Rule cross_drive."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.rendering.cross import cross_drive

    cross_drive(
        subject=run.subject,
        model=Path(snakemake.input.model),
        whisper=Path(snakemake.input.whisper[0]).parent,
        voice=Path(snakemake.input.voice),
        how=run.settings.voices[snakemake.wildcards.voice],
        out=Path(snakemake.output.drive),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
    )
