"""Rule train_fuse."""

from pathlib import Path

from ua3dtalk.workflow import checkpoints_of, job

with job(snakemake) as run:
    from ua3dtalk.training.stages import train_fuse

    train_fuse(
        subject=run.subject,
        audio=Path(snakemake.input.audio),
        face=Path(snakemake.input.face),
        mouth=Path(snakemake.input.mouth),
        perceptual=Path(snakemake.input.perceptual) if snakemake.input.perceptual else None,
        out=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        losses=Path(snakemake.output.losses),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
        checkpoint=checkpoints_of(Path(snakemake.output.model))[0],
    )
