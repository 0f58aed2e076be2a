"""Rule metrics."""

from pathlib import Path

from ua3dtalk.outcomes import cost
from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.metrics.report import write_metrics
    from ua3dtalk.provenance import metric_weights

    sync = getattr(snakemake.input, "sync", None)
    offset = getattr(snakemake.input, "audio_offset", None)
    write_metrics(
        subject=run.subject,
        renders=Path(snakemake.input.rows).parent,
        out=Path(snakemake.output.metrics),
        frames=Path(snakemake.output.frames),
        picture=Path(snakemake.output.picture),
        landmarker=Path(snakemake.input.landmarker),
        weights=dict(zip(metric_weights(run.settings), map(Path, snakemake.input.weights), strict=True)),
        sync=Path(sync) if sync else None,
        audio_offset=Path(offset) if offset else None,
        syncnet=Path(snakemake.input.syncnet) if snakemake.input.syncnet else None,
        settings=run.settings,
        method=run.method,
        budget=run.budget,
        seed=run.seed,
        cost=cost(Path(snakemake.output.metrics).parent),
        state=run.state,
    )
