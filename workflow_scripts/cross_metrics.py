"""Rule cross_metrics."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.metrics.cross import measure_cross

    measure_cross(
        subject=run.subject,
        drive=Path(snakemake.input.drive),
        own_deviation=Path(snakemake.input.renders) / "deviation.npy",
        own_metrics=Path(snakemake.input.metrics),
        landmarker=Path(snakemake.input.landmarker),
        identity=Path(snakemake.input.identity),
        out=Path(snakemake.output.figures),
        picture=Path(snakemake.output.picture),
        method=run.method,
        budget=run.budget,
        seed=run.seed,
        state=run.state,
        sync=Path(snakemake.input.sync) if snakemake.input.sync else None,
        whisper=Path(snakemake.input.whisper[0]).parent,
    )
