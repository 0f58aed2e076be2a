"""Rule decode."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.media.decode import decode_clips

    decode_clips(
        crop=Path(snakemake.input.crop),
        out_clips=Path(snakemake.output.clips),
        out_video=Path(snakemake.output.video),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
