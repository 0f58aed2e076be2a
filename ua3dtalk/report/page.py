"""Templates in, one file out: styles, script, data and media lie inside the page, and it may load nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ua3dtalk.report.figures import shown
from ua3dtalk.report.media import Film
from ua3dtalk.report.record import duration
from ua3dtalk.report.series import Chart
from ua3dtalk.workflow import atomic

DATA = Path(__file__).parent / "data"


def write_page(path: Path, template: str, films: Sequence[Film], charts: Sequence[Chart], **values: Any) -> None:
    """Fill a template of `data` and write the page.

    Args:
        films, charts: what the script draws; a chart of kind `time` follows the film whose id stands before the dot in
            its own.
        values: what the template shows; all text is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": shown, "duration": duration}
    page = environment.get_template(template).render(
        style=(DATA / "report.css").read_text(),
        script=(DATA / "report.js").read_text(),
        data={"films": [film_data(film) for film in films], "charts": [chart.data() for chart in charts]},
        films={film.ident: film for film in films},
        charts={chart.ident: chart for chart in charts},
        **values,
    )
    with atomic(path) as temporary:
        temporary.write_text(page)


def film_data(film: Film) -> Mapping[str, Any]:
    """What the script has to know of a film."""
    return {
        "id": film.ident,
        "fps": film.fps,
        "frames": film.frames,
        "side": film.side,
        "columns": film.columns,
        "marks": [list(mark) for mark in film.marks],
    }
