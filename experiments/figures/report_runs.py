"""The report's tables of runs: what each came to, and where all of it comes from."""

from markup import folded, table, text, with_error
from records import is_number
import style

RUN_SPECIFIC = {"run_id", "seed", "model_params", "total_params", "model_name", "architecture",
                "outcome"}
STUDY_TEXT = "study"  # the option that holds the whole study file, shown below the options
COLUMNS = [("run", ""), ("model", ""), ("arm", ""), ("N", "num"), ("all params", "num"),
           ("seed", "num"), ("tokens", "num"), ("checkpoints", "num"), ("last trunk loss", "num"),
           ("last cooled loss", "num"), ("ended", ""), ("SHA-256 of the run file", "hash")]


def last_loss(run, kinds):
    """Loss of the checkpoint of these kinds with most tokens, and its standard error."""
    points = run.groups["checkpoints"]
    places = [i for i, kind in enumerate(points["kind"])
              if kind in kinds and is_number(float(points["tokens"][i]))]
    if not places:
        return "–"
    last = max(places, key=lambda i: points["tokens"][i])
    loss = run.array("checkpoints", "loss_nats")[last]
    if not is_number(float(loss)):
        return "not finite"
    return with_error(loss, run.array("checkpoints", "loss_se_nats")[last], ".4f")


def line(run):
    m, points = run.manifest, run.groups["checkpoints"]
    tokens = [t for t in points["tokens"] if is_number(float(t))]
    run_id = text(m["run_id"])
    return [f"<span id='run-{run_id}'>{run_id}</span>",
            text(m.get("model_name", m["architecture"])), text(run.arm),
            style.count_text(run.size),
            style.count_text(m["total_params"]) if is_number(m.get("total_params")) else "–",
            text(m["seed"]), style.count_text(max(tokens)) if tokens else "–",
            str(points["lengths"]["checkpoint"]), last_loss(run, ("trunk",)),
            last_loss(run, ("cooldown",)), text(m.get("outcome", "not recorded")), run.sha256]


def run_table(study):
    runs = sorted(study.runs, key=lambda r: (r.manifest["architecture"], r.size,
                                             str(r.manifest["run_id"])))
    return (table(COLUMNS, [line(run) for run in runs], "runs")
            + "<p class=quiet>N: quantizable parameters. Losses: validation, nats per token, ± 2 "
            "standard errors.</p>")


def value_table(entries, skipped=()):
    """Attributes over all runs: one value where they agree, all values with counts where not."""
    lines = []
    for name in sorted({name for entry in entries for name in entry} - set(skipped)):
        counts = {}
        for entry in entries:
            value = str(entry.get(name, "(not recorded)"))
            counts[value] = counts.get(value, 0) + 1
        said = [text(v) + (f" <span class=quiet>({n} runs)</span>" if len(counts) > 1 else "")
                for v, n in sorted(counts.items())]
        lines.append([text(name), "<br>".join(said)])
    return table([("", ""), ("", "value")], lines, "values") if lines else ""


def provenance(study):
    manifests = [run.manifest for run in study.runs]
    warning = ""
    if any(str(m.get("git_dirty", 0)) not in ("0", "False") for m in manifests):
        warning = ("<p class=warning>Some runs were made by a build with uncommitted changes, so "
                   "their git id does not determine the code.</p>")
    options = value_table([run.options for run in study.runs], {STUDY_TEXT})
    return (warning + value_table(manifests, RUN_SPECIFIC)
            + folded("Options of the runs", options)
            + folded("The study file", f"<pre>{text(study.settings_text)}</pre>"))
