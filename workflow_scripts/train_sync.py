"""Rule train_sync; its seed is not the config's, so that runs of other seeds are measured alike."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.sync.stage import train_local

    train_local(
        subjects=run.sync_subjects,
        offsets=run.sync_offsets,
        rehearsal=Path(snakemake.input.rehearsal) if snakemake.input.rehearsal else None,
        whisper=Path(snakemake.input.whisper[0]).parent,
        out=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
