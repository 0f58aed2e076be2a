"""Rule locate."""

from pathlib import Path

from ua3dtalk.workflow import job

with job(snakemake) as run:
    from ua3dtalk.face.locate import ClipSource, locate_face

    labelled = zip(snakemake.input.clips, run.emotions, strict=True)
    sources = [ClipSource(Path(path), emotion) for path, emotion in labelled]
    locate_face(
        clips=sources,
        model=Path(snakemake.input.model),
        out=Path(snakemake.output.crop),
        picture=Path(snakemake.output.picture),
        settings=run.settings,
        state=run.state,
    )
