"""Rule sound."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.media.sound import write_sound

    write_sound(
        subject=run.subject,
        offsets=run.audio_offsets,
        measured=Path(snakemake.input.measured) if snakemake.input.measured else None,
        out_audio=Path(snakemake.output.audio),
        out_record=Path(snakemake.output.record),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
