"""The style sheet of the report: one column, light and dark, fit for paper and for a phone."""

CSS = """
:root { color-scheme: light dark; --back: #fff; --ink: #1d1d1f; --quiet: #5f6368; --line: #d5d5d8;
  --good: #00664d; --bad: #a63f00; --open: #55585c; }
@media (prefers-color-scheme: dark) { :root { --back: #17181a; --ink: #e8e8ea; --quiet: #a4a8ad;
  --line: #3b3d41; --good: #4fc3a1; --bad: #f2925c; --open: #b3b7bc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 820px; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 1rem 0 0; } h2 { margin: 2.2rem 0 .8rem; font-size: 1.3rem; }
h3 { margin: .2rem 0 .5rem; font-size: 1.08rem; line-height: 1.3; }
h4 { margin: .6rem 0 .2rem; font-size: .85rem; color: var(--quiet); }
p { margin: .45rem 0; } a { color: inherit; }
.lead { font-size: 1.1rem; } .quiet { color: var(--quiet); font-size: .9em; }
.card { border: 1px solid var(--line); border-left: 6px solid var(--open); border-radius: 6px;
  padding: .7rem 1rem; margin: 0 0 1rem; break-inside: avoid; }
.card.supported { border-left-color: var(--good); } .card.refuted { border-left-color: var(--bad); }
.outcome { margin: 0; font-weight: 700; color: var(--open); }
.supported .outcome { color: var(--good); } .refuted .outcome { color: var(--bad); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr));
  gap: 0 1.2rem; font-size: .88rem; }
ul.plain { list-style: none; margin: 0; padding: 0; } ul.plain li { margin: .15rem 0; }
figure { margin: 0 0 2rem; break-inside: avoid; }
.drawing { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
.drawing svg { display: block; width: 100%; height: auto; }
figcaption { font-size: .9rem; color: var(--quiet); margin-top: .4rem; }
.tags a { font-size: .78rem; border: 1px solid var(--line); border-radius: 4px; padding: 0 .35rem;
  text-decoration: none; color: var(--quiet); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .84rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
th { color: var(--quiet); font-weight: 600; } .num { text-align: right; white-space: nowrap; }
.hash, .value, pre, code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.hash { font-size: .7rem; min-width: 17rem; overflow-wrap: anywhere; }
.value { overflow-wrap: anywhere; } pre { font-size: .8rem; white-space: pre-wrap; }
summary { cursor: pointer; color: var(--quiet); font-size: .9rem; margin: .4rem 0; }
.warning { border-left: 4px solid var(--bad); padding-left: .6rem; }
.failed { color: var(--bad); font-weight: 700; }
@media print { :root { --back: #fff; --ink: #000; --quiet: #444; --line: #bbb; }
  main { max-width: none; padding: 0; } body { font-size: 11px; } .scroll { overflow: visible; }
  .runs { font-size: 7.5px; } .hash { min-width: 0; font-size: 6px; } }
"""
