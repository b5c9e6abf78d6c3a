"""One section of the report per question: all of it comes from verdict.json and the figures."""

from markup import folded, interval, number, plain_list, table, text
from records import is_number

OUTCOME_WORDS = {
    "supported": ("✓", "Supported"),
    "refuted": ("✗", "Refuted"),
    "inconclusive": ("?", "Inconclusive"),
}

UNADJUSTED = "Each number holds at its own level; nothing adjusts them for how many they are."

# The groups of a run file that each judge reads (theory/questions/judge.hpp): whose hashes it rests on.
# Q6 to Q8 and Q12 hold the losses of /checkpoints too.
GROUPS_READ = {"Q1": {"ptq", "shift"}, "Q2": {"curvature"}, "Q3": {"ptq", "curvature"},
               "Q4": {"noise"}, "Q5": {"ptq", "curvature", "schemes"},
               "Q6": {"factorial", "checkpoints"}, "Q7": {"ptq", "checkpoints"},
               "Q8": {"qat", "checkpoints"},
               "Q9": {"ptq", "curvature", "preconditioned", "checkpoints"},
               "Q10": {"ptq", "curvature", "checkpoints"}, "Q11": {"injection"},
               "Q12": {"qat", "checkpoints"}, "Q13": {"schemes", "schemes_along"},
               "Q14": {"schemes", "schemes_along"}, "Q15": {"schemes", "schemes_along"},
               "Q16": {"qat", "checkpoints", "ptq"},
               "Q17": {"ptq", "curvature"},
               "Q18": {"ptq", "experts", "qat", "checkpoints"},
               "Q19": {"decode", "decode_copy"},
               "Q20": {"decode_schedules"}, "Q21": {"tasks", "shift"},
               "Q22": {"ptq", "curvature", "shift"}, "Q23": {"ptq", "checkpoints"}, "Q24": {"ptq"},
               "Q25": {"ptq", "curvature", "checkpoints"}}


def badge(verdict):
    mark, word = OUTCOME_WORDS[verdict["outcome"]]
    return (f"<span class='badge {text(verdict['outcome'])}'><span aria-hidden=true>{mark}</span> "
            f"{word}</span>")


def estimate_words(verdict):
    if not is_number(verdict["estimate"]):
        return "no estimate"
    known = interval(verdict)
    if not known:
        return f"{number(verdict['estimate'])} (no interval)"
    level = f", {100 * verdict['level']:g} % interval" if is_number(verdict["level"]) else ""
    return f"{number(verdict['estimate'])} ({known}{level})"


def distance_words(verdict):
    if not is_number(verdict["distance_se"]):
        return ""
    return f"; {number(verdict['distance_se'], 2)} standard errors from its threshold"


def p_text(value):
    """As `hone judge` prints it: the tail of few trajectories says no more."""
    return "p < 0.0001" if value < 1e-4 else f"p = {number(value, 2)}"


def p_words(verdict):
    if not verdict["is_primary"]:
        return ("; secondary: the study did not name this question before its runs, and nothing "
                "corrects the outcome for the number of questions")
    if not (is_number(verdict["p_value"]) and is_number(verdict["p_holm"])):
        return ""
    return text(f"; {p_text(verdict['p_value'])} of the decision, {p_text(verdict['p_holm'])} after "
                "Holm's correction over the primary verdicts")


def on_threshold(verdict):
    """A number within one standard error of its threshold may fall on either side next time."""
    near = is_number(verdict["distance_se"]) and verdict["distance_se"] < 1
    return ", on the threshold" if near else ""


def short_estimate(verdict):
    """Three digits and the interval in brackets, for the table of verdicts."""
    if not is_number(verdict["estimate"]):
        return "no estimate"
    return f"{number(verdict['estimate'], 3)} ({interval(verdict, 3) or 'no interval'})"


def capitalized(sentence):
    """With a capital letter, unless it begins with a function's name."""
    return sentence if sentence.startswith("ln ") else sentence[:1].upper() + sentence[1:]


def thresholds(verdict):
    if not verdict["thresholds"]:
        return "<p class=quiet>none</p>"
    return plain_list(f"<code>{text(t['name'])}</code> = {number(t['value'])}"
                      f"<span class=quiet>: {text(t['meaning'])}</span>"
                      for t in verdict["thresholds"])


def controls(verdict):
    """Controls that were not run stand first: they are the caveats."""
    parts = []
    for was_run, heading, mark in ((False, "Controls not run", "–"), (True, "Controls run", "✓")):
        names = [c["label"] for c in verdict["controls"] if c["was_run"] is was_run]
        body = (plain_list(f"{mark} {text(name)}" for name in names) if names
                else "<p class=quiet>none</p>")
        parts.append(f"<div class='{'done' if was_run else 'caveat'}'><h4>{heading}</h4>{body}"
                     "</div>")
    return f"<div class=columns>{''.join(parts)}</div>"


def numbers(verdict):
    """Numbers with an interval in sight, counts and diagnostics folded."""
    columns = [("number", ""), ("value", "num"), ("interval", "num")]
    lines = [[text(f["label"]), number(f["estimate"]), interval(f)] for f in verdict["findings"]]
    seen, rest = ([line for line in lines if bool(line[2]) is wanted] for wanted in (True, False))
    shown = table(columns, seen, "numbers") if seen else ""
    return shown + folded(f"{len(rest)} numbers without an interval: counts, constants, fit errors",
                          table(columns[:2], rest, "numbers") if rest else "")


def runs_read(study, verdict):
    """The run files that hold a group which the judge of this question reads."""
    groups = GROUPS_READ.get(verdict["id"])
    return [run for run in study.runs if groups is None or groups & set(run.groups)]


def reproduction(study, verdict):
    runs = runs_read(study, verdict)
    lines = [[f"<a href='#run-{text(run.manifest['run_id'])}'>{text(run.path.name)}</a>",
              run.sha256] for run in runs]
    groups = " or ".join(f"/{g}" for g in sorted(GROUPS_READ.get(verdict["id"], ())))
    which = f" with the group {groups}" if groups else ""
    hashes = (f"<p>verdict.json <code class=hash>{study.verdict_sha256}</code></p>"
              + (table([("run file", ""), ("SHA-256", "hash")], lines) if lines else ""))
    return ("<h3>The same numbers again</h3><p class=quiet>In the study's folder:</p>"
            "<pre>hone judge study.toml --out .\nhone report study.toml --out .</pre><div class=files>"
            + folded(f"SHA-256 of {len(runs)} run file{'s' * (len(runs) != 1)}{which}", hashes)
            + "</div>")


def section(study, verdict, figures, elsewhere):
    """figures: HTML of those that stand here; elsewhere: {name: Drawing} of others that serve."""
    links = ", ".join(f"<a href='#figure-{name}'>{text(d.title)}</a>"
                      for name, d in elsewhere.items())
    see_also = f"<p class=quiet>See also: {links}.</p>" if links else ""
    return (
        f"<section class='question {text(verdict['outcome'])}' id='{text(verdict['id'])}'>"
        f"<p class=over>{badge(verdict)} <a class=back href='#verdicts'>all verdicts</a></p>"
        f"<h2>{text(verdict['id'])}. {text(verdict['question'])}</h2>"
        f"<p class=answer>{text(verdict['answer'])}</p>"
        f"<p>{text(capitalized(verdict['prose']))}</p>"
        f"<p><b>Hypothesis:</b> {text(verdict['hypothesis'])}: {text(verdict['outcome'])}"
        f"{on_threshold(verdict)}.</p>"
        f"<p><b>Estimate:</b> {estimate_words(verdict)}, from {text(verdict['n'])} rows"
        f"{distance_words(verdict)}{p_words(verdict)}.</p>"
        f"<p><b>Rule:</b> {text(verdict['rule'])}.</p>"
        f"<h4>Thresholds, fixed before the run</h4>{thresholds(verdict)}"
        f"{figures}{see_also}<h3>Numbers</h3><p class=quiet>{UNADJUSTED}</p>{numbers(verdict)}"
        f"<h3>Caveats</h3>{controls(verdict)}{reproduction(study, verdict)}</section>")
