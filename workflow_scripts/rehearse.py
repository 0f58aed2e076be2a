"""Rule rehearse."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.demo.rehearsal import make_rehearsal

    make_rehearsal(out=Path(snakemake.output.rehearsal), picture=Path(snakemake.output.picture), state=run.state)
