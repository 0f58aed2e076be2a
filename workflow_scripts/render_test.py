"""Rule render_test."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.rendering.test import render_test

    render_test(
        subject=run.subject,
        model=Path(snakemake.input.model),
        out=Path(snakemake.output.rows),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        seed=run.seed,
        state=run.state,
    )
