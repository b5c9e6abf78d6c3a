"""The report of a study as one HTML file without scripts or outside resources: published claims and
verdicts first, then a section for each question."""

import re

from markup import table, text
from records import is_number
from report_style import CSS
import certificates
import decode
import report_claims
import report_question
import report_runs
import schemes


def summary(study):
    """All verdicts in one table that becomes a list on a phone."""
    lines = []
    for verdict in study.verdicts.values():
        name = text(verdict["id"])
        lines.append([f"<a href='#{name}'>{name}. {text(verdict['question'])}</a>",
                      report_question.badge(verdict),
                      report_question.short_estimate(verdict),
                      text(verdict["answer"])])
    if not lines:
        return "<p>No question was judged.</p>"
    levels = {v["level"] for v in study.verdicts.values() if is_number(v["level"])}
    level = f" ({100 * levels.pop():g} % interval)" if len(levels) == 1 else ""
    return (table([("question", "asked"), ("outcome", "outcome"), (f"estimate{level}", "estimate"),
                   ("in one line", "said")], lines, "summary")
            + "<p class=quiet>Outcomes are adjusted for the number of verdicts (Holm 1979), other "
              "numbers are not.</p>")


def inline_svg(path, name, title):
    """The figure's SVG for use inside HTML: ids made unique, size left to the page."""
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    opening = re.match(r"<svg[^>]*>", svg).group(0)
    width = float(re.search(r' viewBox="0 0 ([\d.]+) ', opening).group(1))  # 72 to the inch
    sized = re.sub(r' (width|height)="[^"]*"', "", opening)
    return svg.replace(opening, sized[:-1] + f' role="img" aria-label="{text(title)}" '
                       f'style="--least:{width:.0f}px">', 1)


def figure(study, name, drawing):
    tags = " ".join(f"<a href='#{q}'>{q}</a>" for q in drawing.questions if study.verdict(q))
    svg = inline_svg(study.folder / "figures" / f"{name}.svg", name, drawing.title)
    return (f"<figure id='figure-{name}'><h3>{text(drawing.title)} "
            f"<span class=tags>{tags}</span></h3><div class=drawing>{svg}</div>"
            f"<figcaption>{text(drawing.caption)}</figcaption></figure>")


def home(study, drawing):
    """The question whose section shows a figure: the first of its questions that was judged."""
    return next((q for q in drawing.questions if study.verdict(q)), None)


def question_sections(study, drawings):
    parts = []
    for verdict in study.verdicts.values():
        here = {n: d for n, d in drawings.items() if home(study, d) == verdict["id"]}
        others = {n: d for n, d in drawings.items()
                  if verdict["id"] in d.questions and n not in here}
        parts.append(report_question.section(
            study, verdict, "".join(figure(study, n, d) for n, d in here.items()), others))
    return "".join(parts)


def lead(study):
    outcomes = [v["outcome"] for v in study.verdicts.values()]
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in report_question.OUTCOME_WORDS
                       if o in outcomes)
    others = sum(not r.is_transformer for r in study.runs)
    left = f" {others} of them are no transformers and stand only in the table." if others else ""
    return (f"<p class=lead>Study {text(study.name)}. {len(outcomes)} questions: "
            f"{text(counts) or 'no verdict'}. "
            f"{len(study.runs)} run{'s' * (len(study.runs) != 1)}.{left}</p>")


def report_html(study, drawings, absent):
    """The whole report; `drawings` have been saved to figures/."""
    overview = "".join(figure(study, n, d) for n, d in drawings.items() if n == "overview")
    further = "".join(figure(study, n, d) for n, d in drawings.items()
                      if n != "overview" and home(study, d) is None)
    missing = "".join(f"<li>{text(name)}: {text(reason)}</li>" for name, reason in absent.items())
    left_out = f"<h3>Figures left out</h3><ul>{missing}</ul>" if missing else ""
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{text(study.name)}: report</title><style>{CSS}</style></head><body><main>"
        f"<h1>{text(study.title or study.name)}</h1>{lead(study)}{certificates.warning(study)}"
        f"{report_claims.section(study)}"
        f"<section id=verdicts><h2>Verdicts</h2>{summary(study)}{overview}</section>"
        f"{question_sections(study, drawings)}"
        f"<section id=further><h2>Training, and what belongs to no question</h2>{further}{left_out}"
        f"</section>{schemes.section(study)}{decode.section(study)}"
        f"<section id=runs><h2>Runs</h2>{report_runs.run_table(study)}</section>"
        f"{certificates.section(study)}"
        f"<section id=provenance><h2>Provenance</h2>{report_runs.provenance(study)}</section>"
        "</main></body></html>\n")
