"""Rule metrics."""

from pathlib import Path

from ua3dtalk.workflow import cost, job

with job(snakemake) as run:
    from ua3dtalk.metrics.report import write_metrics
    from ua3dtalk.provenance import metric_weights

    write_metrics(
        subject=run.subject,
        renders=Path(snakemake.input.rows).parent,
        out=Path(snakemake.output.metrics),
        frames=Path(snakemake.output.frames),
        picture=Path(snakemake.output.picture),
        landmarker=Path(snakemake.input.landmarker),
        weights=dict(zip(metric_weights(run.settings), map(Path, snakemake.input.weights), strict=True)),
        settings=run.settings,
        method=run.method,
        budget=run.budget,
        seed=run.seed,
        cost=cost(Path(snakemake.output.metrics).parent),
        state=run.state,
    )
