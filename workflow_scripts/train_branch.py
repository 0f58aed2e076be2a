"""Rules train_mouth and train_face."""

from pathlib import Path

from ua3dtalk.workflow import checkpoints_of, job

with job(snakemake) as run:
    from ua3dtalk.training.stages import train_branch

    train_branch(
        subject=run.subject,
        branch=run.rule.removeprefix("train_"),
        audio=Path(snakemake.input.audio),
        perceptual=Path(snakemake.input.perceptual) if snakemake.input.perceptual else None,
        out=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        losses=Path(snakemake.output.losses),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
        checkpoint=checkpoints_of(Path(snakemake.output.model))[0],
    )
