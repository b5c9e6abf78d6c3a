"""The report of a study as one HTML file without scripts or outside resources."""

import re
from html import escape

from records import is_number
from report_style import CSS
import certificates
import decode
import schemes
import style

OUTCOME_WORDS = {
    "supported": ("✓", "Supported"),
    "refuted": ("✗", "Refuted"),
    "inconclusive": ("?", "Inconclusive"),
}
RUN_SPECIFIC = {"run_id", "seed", "model_params", "total_params", "model_name", "architecture",
                "outcome"}
STUDY_TEXT = "study"  # the option that holds the whole study file, shown below the options


def text(value):
    return escape(str(value))


def number(value):
    return f"{value:.4g}" if is_number(value) else "not known"


def estimate_words(verdict):
    if not is_number(verdict["estimate"]):
        return "no estimate"
    words = f"{number(verdict['estimate'])}"
    if is_number(verdict["low"]) and is_number(verdict["high"]):
        words += f" ({number(verdict['low'])} to {number(verdict['high'])}"
        if is_number(verdict["level"]):
            words += f", {100 * verdict['level']:g} % interval"
        return words + ")"
    return words + " (no interval)"


def threshold_list(verdict):
    items = "".join(f"<li><code>{text(t['name'])}</code> = {number(t['value'])}"
                    f"<span class=quiet>: {text(t['meaning'])}</span></li>"
                    for t in verdict["thresholds"])
    return f"<ul class=plain>{items}</ul>" if items else "<p class=quiet>none</p>"


def control_lists(verdict):
    parts = []
    for was_run, heading, mark in ((True, "Controls run", "✓"), (False, "Controls not run", "–")):
        names = [c["name"] for c in verdict["controls"] if c["was_run"] is was_run]
        items = "".join(f"<li>{mark} {text(name)}</li>" for name in names)
        body = f"<ul class=plain>{items}</ul>" if items else "<p class=quiet>none</p>"
        parts.append(f"<div><h4>{heading}</h4>{body}</div>")
    return "".join(parts)


def detail_table(verdict):
    if not verdict["details"]:
        return ""
    lines = "".join(
        f"<tr><td>{text(d['name'])}</td><td class=num>{number(d['value'])}</td><td class=num>"
        + (f"{number(d['low'])} to {number(d['high'])}"
           if is_number(d["low"]) and is_number(d["high"]) else "")
        + "</td></tr>" for d in verdict["details"])
    return (f"<details><summary>All numbers behind {text(verdict['id'])}</summary>"
            "<div class=scroll><table><tr><th>number</th><th>value</th><th>interval</th></tr>"
            f"{lines}</table></div></details>")


def card(verdict, drawings):
    mark, word = OUTCOME_WORDS[verdict["outcome"]]
    links = ", ".join(f"<a href='#figure-{name}'>{text(d.title.lower())}</a>"
                      for name, d in drawings.items() if verdict["id"] in d.questions)
    figures = f"<p class=quiet>Figures: {links}</p>" if links else ""
    return (
        f"<article class='card {text(verdict['outcome'])}' id='{text(verdict['id'])}'>"
        f"<p class=outcome><span aria-hidden=true>{mark}</span> {word}</p>"
        f"<h3>{text(verdict['id'])}. {text(verdict['question'])}</h3>"
        f"<p>{text(verdict['prose'])}</p>"
        f"<p><b>Hypothesis:</b> {text(verdict['hypothesis'])}.</p>"
        f"<p><b>Estimate:</b> {estimate_words(verdict)}, from {text(verdict['n'])} rows.</p>"
        f"<p><b>Rule:</b> {text(verdict['rule'])}.</p>"
        f"<div class=columns><div><h4>Thresholds</h4>{threshold_list(verdict)}</div>"
        f"{control_lists(verdict)}</div>{detail_table(verdict)}{figures}</article>")


def inline_svg(path, name, title):
    """The figure's SVG for use inside HTML: ids made unique, size left to the page."""
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    opening = re.match(r"<svg[^>]*>", svg).group(0)
    sized = re.sub(r' (width|height)="[^"]*"', "", opening)
    return svg.replace(opening, sized[:-1] + f' role="img" aria-label="{text(title)}">', 1)


def figure_section(study, name, drawing):
    tags = " ".join(f"<a href='#{q}'>{q}</a>" for q in drawing.questions if study.verdict(q))
    svg = inline_svg(study.folder / "figures" / f"{name}.svg", name, drawing.title)
    return (f"<figure id='figure-{name}'><h3>{text(drawing.title)} "
            f"<span class=tags>{tags}</span></h3><div class=drawing>{svg}</div>"
            f"<figcaption>{text(drawing.caption)}</figcaption></figure>")


def last_loss(run, variant):
    """Loss of the checkpoint of that variant with most tokens, and its standard error."""
    points = run.groups["checkpoints"]
    places = [i for i, v in enumerate(points["variant"])
              if v == variant and is_number(float(points["tokens"][i]))]
    if not places:
        return "–"
    last = max(places, key=lambda i: points["tokens"][i])
    loss = run.array("checkpoints", "loss_nats")[last]
    error = run.array("checkpoints", "loss_se_nats")[last]
    if not is_number(float(loss)):
        return "not finite"
    return f"{loss:.4f}" + (f" ± {2 * error:.4f}" if is_number(float(error)) else "")


def run_table(study):
    lines = []
    for run in sorted(study.runs, key=lambda r: (r.manifest["architecture"], r.size,
                                                 str(r.manifest["run_id"]))):
        m, points = run.manifest, run.groups["checkpoints"]
        tokens = [t for t in points["tokens"] if is_number(float(t))]
        cells = [("", m["run_id"]), ("", m.get("model_name", m["architecture"])),
                 ("num", style.count_text(run.size)),
                 ("num", style.count_text(m["total_params"])
                  if is_number(m.get("total_params")) else "–"),
                 ("num", m["seed"]), ("num", style.count_text(max(tokens)) if tokens else "–"),
                 ("num", points["lengths"]["checkpoint"]), ("num", last_loss(run, "trunk")),
                 ("num", last_loss(run, "cooled")),
                 ("", m.get("outcome", "not recorded")), ("hash", run.sha256)]
        lines.append("<tr>" + "".join(f"<td class='{kind}'>{text(value)}</td>"
                                      for kind, value in cells) + "</tr>")
    heads = ("run", "model", "N", "all params", "seed", "tokens", "checkpoints",
             "last trunk loss", "last cooled loss", "ended", "SHA-256 of the run file")
    return ("<div class=scroll><table class=runs><tr>"
            + "".join(f"<th>{h}</th>" for h in heads) + "</tr>" + "".join(lines)
            + "</table></div><p class=quiet>N: quantizable parameters. Losses: validation, nats "
            "per token, ± 2 standard errors.</p>")


def value_table(entries, skipped=()):
    """Attributes over all runs: one value where they agree, all values with counts where not."""
    names = sorted({name for entry in entries for name in entry} - set(skipped))
    lines = []
    for name in names:
        counts = {}
        for entry in entries:
            value = str(entry.get(name, "(not recorded)"))
            counts[value] = counts.get(value, 0) + 1
        said = [text(v) + (f" <span class=quiet>({n} runs)</span>" if len(counts) > 1 else "")
                for v, n in sorted(counts.items())]
        lines.append(f"<tr><td>{text(name)}</td><td class=value>{'<br>'.join(said)}</td></tr>")
    return f"<div class=scroll><table>{''.join(lines)}</table></div>" if lines else ""


def provenance(study):
    manifests = [run.manifest for run in study.runs]
    warning = ""
    if any(str(m.get("git_dirty", 0)) not in ("0", "False") for m in manifests):
        warning = ("<p class=warning>Some runs were made by a build with uncommitted changes, so "
                   "their git id does not determine the code.</p>")
    options = value_table([run.options for run in study.runs], {STUDY_TEXT})
    folded = (f"<details><summary>Options of the runs</summary>{options}</details>" if options
              else "")
    return (warning + value_table(manifests, RUN_SPECIFIC) + folded
            + "<details><summary>The study file</summary><pre>" + text(study.settings_text)
            + "</pre></details>")


def lead(study):
    outcomes = [v["outcome"] for v in study.verdicts.values()]
    counts = ", ".join(f"{outcomes.count(o)} {o}" for o in OUTCOME_WORDS if o in outcomes)
    others = sum(not r.is_transformer for r in study.runs)
    left = f" {others} of them are no transformers and stand only in the table." if others else ""
    return (f"<p class=lead>Study {text(study.name)}. {len(outcomes)} questions: "
            f"{text(counts) or 'no verdict'}. "
            f"{len(study.runs)} run{'s' * (len(study.runs) != 1)}.{left}</p>")


def report_html(study, drawings, absent):
    """The whole report; `drawings` have been saved to figures/."""
    cards = "".join(card(v, drawings) for v in study.verdicts.values())
    figures = "".join(figure_section(study, name, d) for name, d in drawings.items())
    missing = "".join(f"<li>{text(name)}: {text(reason)}</li>" for name, reason in absent.items())
    left_out = (f"<h3>Figures left out</h3><ul>{missing}</ul>" if missing else "")
    title = f"{text(study.name)}: report"
    return (
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{CSS}</style></head><body><main>"
        f"<h1>{text(study.title or study.name)}</h1>{lead(study)}{certificates.warning(study)}"
        f"<section><h2>Verdicts</h2>{cards}</section>"
        f"<section><h2>Figures</h2>{figures}{left_out}</section>"
        f"<section><h2>Runs</h2>{run_table(study)}</section>{schemes.section(study)}"
        f"{decode.section(study)}"
        f"{certificates.section(study)}"
        f"<section><h2>Provenance</h2>{provenance(study)}</section>"
        "</main></body></html>\n")
