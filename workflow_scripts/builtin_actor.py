"""Rule builtin_actor; its seed is part of who it is, not of the training."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.demo.actor import make_actor

    make_actor(
        out_clip=Path(snakemake.output.clip),
        out_truth=Path(snakemake.output.truth),
        picture=Path(snakemake.output.picture),
        mesh=Path(snakemake.input.mesh),
        seconds=run.settings.seconds,
        size=run.settings.size,
        seed=0,
    )
