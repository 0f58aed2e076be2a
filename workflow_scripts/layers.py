"""Rule layers."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.layers import separate_layers

    separate_layers(
        subject=run.subject,
        out_plate=Path(snakemake.output.plate),
        out_torso=Path(snakemake.output.torso),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
