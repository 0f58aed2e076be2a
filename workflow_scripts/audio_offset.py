"""Rule audio_offset."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.sync.offset import measure_offsets

    measure_offsets(
        subject=run.subject,
        offsets=run.audio_offsets,
        net=Path(snakemake.input.net),
        whisper=Path(snakemake.input.whisper[0]).parent,
        out=Path(snakemake.output.offsets),
        picture=Path(snakemake.output.picture),
        state=run.state,
    )
