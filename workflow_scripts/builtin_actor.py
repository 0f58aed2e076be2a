"""Rule builtin_actor; its own seed is part of who it is, the config's is training's."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.demo.actor import make_actor

    make_actor(
        out_clips=[Path(path) for path in snakemake.output.clips],
        out_truth=Path(snakemake.output.truth),
        picture=Path(snakemake.output.picture),
        mesh=Path(snakemake.input.mesh),
        seconds=run.settings.seconds,
        size=run.settings.size,
        workers=snakemake.threads,
        state=run.state,
    )
