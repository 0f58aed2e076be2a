"""Rule emotion."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.speech.emotion.stage import distil_emotion

    distil_emotion(
        subject=run.subject,
        pooled=run.pooled,
        faces=Path(snakemake.input.faces),
        out=Path(snakemake.output.emotion),
        out_model=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
    )
