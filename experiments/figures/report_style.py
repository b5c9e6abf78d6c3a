"""The style sheet of the report: one column, light and dark, fit for paper and for a phone."""

CSS = """
:root { color-scheme: light dark; --back: #fff; --ink: #1d1d1f; --quiet: #5f6368; --line: #d5d5d8;
  --good: #00664d; --bad: #a63f00; --open: #55585c; --soft: #f5f5f6; }
@media (prefers-color-scheme: dark) { :root { --back: #17181a; --ink: #e8e8ea; --quiet: #a4a8ad;
  --line: #3b3d41; --good: #4fc3a1; --bad: #f2925c; --open: #b3b7bc; --soft: #222427; } }
* { box-sizing: border-box; }
html { scroll-padding-top: .5rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .4rem; }
h2 { margin: .2rem 0 .8rem; font-size: 1.3rem; line-height: 1.3; }
h3 { margin: 1.6rem 0 .5rem; font-size: 1.08rem; line-height: 1.3; }
h4 { margin: .9rem 0 .2rem; font-size: .85rem; color: var(--quiet); }
p { margin: .45rem 0; max-width: 46rem; } a { color: inherit; }
section { margin-top: 2.6rem; border-top: 1px solid var(--line); padding-top: 1rem; }
.lead, .answer { font-size: 1.1rem; } .quiet, .back { color: var(--quiet); font-size: .9em; }
.over { display: flex; justify-content: space-between; align-items: baseline; max-width: none; }
.badge { font-weight: 700; white-space: nowrap; color: var(--open); }
.badge.supported { color: var(--good); } .badge.refuted { color: var(--bad); }
section.question { border-top: 6px solid var(--open); }
section.supported { border-top-color: var(--good); }
section.refuted { border-top-color: var(--bad); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr));
  gap: 0 1.6rem; font-size: .9rem; }
ul.plain { list-style: none; margin: 0; padding: 0; font-size: .9rem; }
ul.plain li { margin: .15rem 0 .15rem 1.1em; text-indent: -1.1em; }
figure { margin: 1.6rem 0 2rem; break-inside: avoid; } figure h3 { margin-top: 0; }
.drawing { background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .5rem;
  overflow-x: auto; }
.drawing svg { display: block; width: 100%; height: auto; min-width: calc(1.1 * var(--least));
  max-width: calc(1.75 * var(--least)); margin: 0 auto; }
figcaption { font-size: .9rem; color: var(--quiet); margin-top: .4rem; max-width: 50rem; }
.tags a { font-size: .78rem; border: 1px solid var(--line); border-radius: 4px; padding: 0 .35rem;
  text-decoration: none; color: var(--quiet); }
.scroll { overflow-x: auto; margin: .4rem 0; } table { border-collapse: collapse; font-size: .84rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
th { color: var(--quiet); font-weight: 600; white-space: nowrap; }
.summary th { white-space: normal; }
.num { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.numbers td:first-child { min-width: 11rem; }
.claims td:first-child, .claims .said { min-width: 14rem; }
.summary { width: 100%; font-size: .95rem; } .summary .asked { font-weight: 600; }
.summary .asked a { text-decoration: none; } .summary td.estimate { min-width: 8.5rem; }
.hash, .value, pre, code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.hash { font-size: .7rem; overflow-wrap: anywhere; } td.hash { min-width: 17rem; }
.value { overflow-wrap: anywhere; min-width: 11rem; }
pre { font-size: .8rem; white-space: pre-wrap; background: var(--soft); padding: .5rem .7rem;
  border-radius: 6px; }
summary { cursor: pointer; color: var(--quiet); font-size: .9rem; padding: .4rem 0; }
.warning { border-left: 4px solid var(--bad); padding-left: .6rem; }
.failed { color: var(--bad); font-weight: 700; }
@media (max-width: 640px) {
  main { padding: .7rem; } h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; }
  .summary, .summary tbody, .summary tr, .summary td { display: block; width: 100%; }
  .summary thead { display: none; }
  .summary tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .summary td { border: 0; padding: .1rem 0; }
  .numbers td:first-child { min-width: 6rem; } th, td { padding-right: .6rem; }
  .summary td.said { color: var(--quiet); font-size: .88rem; }
  .drawing { padding: .3rem; margin: 0 -.3rem; }
}
@media print {
  :root { color-scheme: light; --back: #fff; --ink: #000; --quiet: #444; --line: #bbb;
    --good: #00664d; --bad: #a63f00; --open: #55585c; --soft: #f5f5f6; }
  @page { margin: 14mm; }
  main { max-width: none; padding: 0; } body { font-size: 12px; } p { orphans: 3; widows: 3; }
  section { margin-top: 1.4rem; } section.question { break-before: page; margin-top: 0; }
  h2, h3, h4, summary { break-after: avoid; } tr, figure { break-inside: avoid; }
  .drawing { overflow: visible; padding: .2rem; }
  .drawing svg { min-width: 0; max-width: 100%; max-height: 205mm; }
  .scroll { overflow: visible; } .scroll table { font-size: 9.5px; }
  .scroll .summary { font-size: 11px; }
  details::details-content { content-visibility: visible; display: block; }
  .back, .files { display: none; } td.hash, .value { min-width: 0; }
  .runs th { white-space: normal; } .runs td, .runs th { font-size: 6.5px; padding-right: .3rem; }
  .runs .hash { font-size: 5px; min-width: 12rem; } pre { font-size: 8px; }
}
"""
