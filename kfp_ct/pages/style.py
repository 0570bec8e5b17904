"""The style sheet of `kfp_ct.pages.html` pages: light and dark, and on paper."""

# Okabe and Ito's colours (jfly.uni-koeln.de/color), which stay apart under every common colour blindness.
STYLE = """
:root { color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --line: #dfe3e8; --grid: #eceff2; --text: #1b222c; --soft: #5b6675;
  --s1: #0072b2; --s2: #d55e00; --s3: #009e73; --s4: #b3588f; --s5: #a87500; --s6: #3e92c7;
  --ok: #00755a; --ok-ground: #e8f5f1; --warn: #8a5b00; --warn-ground: #fdf4e0;
  --bad: #b23b00; --bad-ground: #fdeee6; --info: #00619a; --info-ground: #e8f2f9; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14181e; --raised: #1c222a; --line: #323b46; --grid: #262e37; --text: #e4e8ed; --soft: #9ba6b4;
  --s1: #56b4e9; --s2: #f0894a; --s3: #2ec79d; --s4: #dd9cc5; --s5: #e6ab2e; --s6: #9fd4f5;
  --ok: #4fd1ab; --ok-ground: #12292a; --warn: #ecbb55; --warn-ground: #2c2617;
  --bad: #ff9d6b; --bad-ground: #34211a; --info: #7cc4f0; --info-ground: #172836; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); -webkit-text-size-adjust: 100%;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 28px 72px; }
header { margin-bottom: 28px; }
h1 { font-size: 27px; line-height: 1.2; font-weight: 650; letter-spacing: -.015em; margin: 0; text-wrap: balance; }
h2 { font-size: 19px; line-height: 1.3; font-weight: 620; letter-spacing: -.008em; margin: 44px 0 12px; }
h3 { font-size: 15px; font-weight: 620; margin: 26px 0 8px; }
p { margin: 0 0 12px; max-width: 76ch; }
.subtitle { color: var(--soft); margin: 6px 0 0; }
.muted { color: var(--soft); font-weight: 400; }
a { color: var(--info); }
ul { margin: 6px 0 12px; padding-left: 20px; }
li { margin: 3px 0; }
code { font: .88em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--raised); border: 1px solid var(--line); border-radius: 4px;
  padding: 1px 5px; overflow-wrap: anywhere; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 0 0 20px; }
.facts > div { flex: 1 1 130px; max-width: 260px; background: var(--raised); border: 1px solid var(--line);
  border-radius: 8px; padding: 11px 15px 12px; }
.facts dt { color: var(--soft); font-size: 12.5px; }
.facts dd { margin: 1px 0 0; font-size: 20px; line-height: 1.3; font-weight: 600; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: 0 0 20px; border: 1px solid var(--line); border-radius: 8px; }
.table:focus-visible, summary:focus-visible { outline: 2px solid var(--info); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%;
  font-size: 13.5px; line-height: 1.4; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 9px 14px; border-bottom: 1px solid var(--line); }
th, td { padding: 7px 14px; text-align: left; vertical-align: middle; }
thead th { color: var(--soft); font-size: 12.5px; font-weight: 560; white-space: nowrap; vertical-align: bottom;
  background: var(--raised); }
tbody { border-top: 1px solid var(--line); }
tbody th { font-weight: 560; }
tbody tr + tr td { padding-top: 0; }
.number { text-align: right; white-space: nowrap; }
.note { display: flex; gap: 12px; border: 1px solid var(--line); border-radius: 8px;
  padding: 13px 16px; margin: 0 0 16px; }
.note > div { min-width: 0; flex: 1; }
.note p:last-child, .note > div > :last-child { margin-bottom: 0; }
.note .sign { flex: none; width: 22px; height: 22px; border-radius: 50%; color: var(--ground);
  font: 700 13px/22px system-ui, sans-serif; text-align: center; }
.note.ok { background: var(--ok-ground); border-color: var(--ok); }
.note.ok .sign { background: var(--ok); }
.note.warn { background: var(--warn-ground); border-color: var(--warn); }
.note.warn .sign { background: var(--warn); }
.note.bad { background: var(--bad-ground); border-color: var(--bad); }
.note.bad .sign { background: var(--bad); }
.note.info { background: var(--info-ground); border-color: var(--info); }
.note.info .sign { background: var(--info); }
.note .table { background: var(--ground); }
.badge { white-space: nowrap; font-size: 12.5px; font-weight: 560; border-radius: 5px; padding: 1px 7px; }
.badge.ok { color: var(--ok); background: var(--ok-ground); }
.badge.warn { color: var(--warn); background: var(--warn-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); }
.badge.info { color: var(--info); background: var(--info-ground); }
details { border: 1px solid var(--line); border-radius: 8px; padding: 0 16px; margin: 0 0 12px; }
summary { cursor: pointer; padding: 10px 0; font-weight: 560; }
details[open] > :last-child { margin-bottom: 16px; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(400px, 100%), 1fr)); gap: 8px 28px; }
.columns > div { min-width: 0; }
figure { margin: 0 0 18px; min-width: 0; }
figcaption, .key { font-size: 12.5px; color: var(--soft); margin: 0 0 6px; }
figcaption .title { color: var(--text); font-weight: 600; display: block; }
.key { display: flex; flex-wrap: wrap; gap: 2px 16px; }
svg { display: block; max-width: 100%; height: auto; overflow: visible; }
.key svg { display: inline-block; vertical-align: -1px; margin-right: 6px; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; fill: var(--soft);
  font-variant-numeric: tabular-nums; }
svg .name { fill: var(--text); }
svg .axis { stroke: var(--line); } svg .grid { stroke: var(--grid); }
svg .zero { stroke: var(--soft); stroke-dasharray: 3 3; }
.s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.s4 { --c: var(--s4); } .s5 { --c: var(--s5); } .s6 { --c: var(--s6); } .s0 { --c: var(--soft); }
svg .stroke { stroke: var(--c); fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .fill { fill: var(--c); } svg .pale { fill: var(--c); fill-opacity: .35; }
@media (max-width: 640px) { main { padding: 24px 16px 48px; } th, td { padding: 6px 10px; } }
@media print { body { font-size: 12px; } .table { overflow: visible; } section { break-inside: auto; } }
"""
