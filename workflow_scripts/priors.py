"""Rule priors."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.speech.priors.stage import make_priors

    make_priors(
        subject=run.subject,
        pooled=run.pooled,
        out=Path(snakemake.output.priors),
        out_model=Path(snakemake.output.model),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
    )
