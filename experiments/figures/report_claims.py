"""What published texts claim, beside the answers of the study: all of it comes from claims.json."""

import json

from markup import folded, interval, number, table, text
from records import RecordError, is_number

CLAIMS_SCHEMA = 1
FIELDS = ("key", "source", "place", "claim", "refuted_by", "question", "finding", "state", "answer",
          "estimate", "low", "high")

# The states in the order of the report, with the badge's mark, class and word.
STATES = {
    "confirmed": ("✓", "supported", "Confirmed"),
    "contradicted": ("✗", "refuted", "Contradicted"),
    "open": ("?", "inconclusive", "Open"),
    "not_measured": ("–", "inconclusive", "Not measured"),
    "not_covered": ("–", "inconclusive", "Not covered"),
}
MEASURED = ("confirmed", "contradicted", "open")


def read_claims(path):
    """The claims of a study, or None where the file does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: is no JSON text ({error}); run `hone judge` again")
    claims = content.get("claims") if isinstance(content, dict) else None
    if not isinstance(claims, list) or content.get("schema") != CLAIMS_SCHEMA:
        raise RecordError(f"{path}: is no file of claims of schema {CLAIMS_SCHEMA}; run "
                          "`hone judge` again")
    for claim in claims:
        for field in FIELDS:
            if field not in claim:
                raise RecordError(f"{path}: a claim has no field {field}; run `hone judge` again")
        if claim["state"] not in STATES:
            raise RecordError(f"{path}: field state = {claim['state']}, expected "
                              f"{', '.join(STATES)}; run `hone judge` again")
    return claims


def badge(state):
    mark, kind, word = STATES[state]
    return f"<span class='badge {kind}'><span aria-hidden=true>{mark}</span> {word}</span>"


def estimate_words(claim):
    if not is_number(claim["estimate"]):
        return ""
    return f"{number(claim['estimate'], 3)} ({interval(claim, 3) or 'no interval'})"


def question_link(study, claim):
    """The claim's question, as a link where it was judged."""
    name = text(claim["question"])
    return f"<a href='#{name}'>{name}</a>" if study.verdict(claim["question"]) else name


def claim_table(study, claims):
    lines = [[f"{text(c['claim'])} <span class=quiet>{text(c['source'])}: {text(c['place'])}. "
              f"Refuted by: {text(c['refuted_by'])}</span>",
              badge(c["state"]), question_link(study, c), estimate_words(c), text(c["answer"])]
             for c in claims]
    return table([("claim", ""), ("state", ""), ("question", ""), ("estimate", "num"),
                  ("answer", "said")], lines, "claims") if lines else ""


def section(study):
    """Claims with a measured answer in sight, those without one folded by their state."""
    claims = read_claims(study.folder / "claims.json")
    if claims is None:
        return ("<p class=quiet>No claims.json: <code>hone judge</code> makes it, and this report "
                "then begins with what published texts claim.</p>")
    of_state = {state: [c for c in claims if c["state"] == state] for state in STATES}
    counts = ", ".join(f"{len(of_state[state])} {STATES[state][2].lower()}" for state in STATES)
    seen = claim_table(study, [c for state in MEASURED for c in of_state[state]])
    rest = "".join(folded(f"{len(of_state[state])} claims: {STATES[state][2].lower()}",
                          claim_table(study, of_state[state]))
                   for state in STATES if state not in MEASURED)
    return (f"<section id=claims><h2>Published claims</h2><p>{len(claims)} claims: {counts}.</p>"
            f"{seen}{rest}</section>")
