"""How the page looks on a screen, in the dark, on a phone and on paper; and the pointer's words."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f6f4; --ink: #15171a; --soft: #565b63; --grid: #e3e3df;
  --train: #2468c4; --validation: #b8530b; --bad: #c2272d; --look: #8a5a00; --good: #1d7a3e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --panel: #1f2226; --ink: #ecedee; --soft: #a5abb3; --grid: #33373d;
    --train: #6ba6f5; --validation: #f0944d; --bad: #ff7b7b; --look: #e5b454; --good: #6fcf8e;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1120px; padding: 28px 20px 48px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0; font-size: 26px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 40px 0 12px; font-size: 17px; }
p { margin: 6px 0; }
code, pre { font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre {
  margin: 0; padding: 14px 16px; background: var(--panel); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.soft, small { color: var(--soft); }
.status {
  display: inline-block; margin-left: 10px; padding: 1px 10px; border: 1.5px solid; font-size: 13px;
  font-weight: 600; line-height: 1.5; border-radius: 99px; vertical-align: 4px; color: var(--look);
}
.status.finished { color: var(--good); }
.verdict { margin: 16px 0 18px; font-size: 18px; line-height: 1.45; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 10px;
}
.figures div { padding: 11px 14px; background: var(--panel); border-radius: 8px; }
.figures dt { color: var(--soft); font-size: 13px; }
.figures dd { margin: 0; }
.figures .value { font-size: 24px; font-weight: 600; line-height: 1.25; }
.figures .hint { color: var(--soft); font-size: 12.5px; line-height: 1.35; }
dl { margin: 0; }
.findings { margin: 14px 0 30px; padding: 0; list-style: none; }
.findings li { margin: 5px 0; padding-left: 12px; border-left: 3px solid var(--grid); }
.findings .bad { border-color: var(--bad); }
.findings .look { border-color: var(--look); }
.findings b { margin-right: 4px; }
.findings .bad b { color: var(--bad); }
.findings .look b { color: var(--look); }

.charts { display: grid; gap: 8px 24px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { color: var(--soft); font-size: 13px; }
figcaption b { color: var(--ink); font-size: 15px; }
.key { display: inline-block; margin-left: 14px; color: var(--ink); }
.key i {
  display: inline-block; width: 16px; margin-right: 5px; border-top: 3px solid; vertical-align: 4px;
}
.key .raw { border-top-width: 1.5px; opacity: .55; }
.key .dots { width: 8px; height: 8px; border: 0; border-radius: 50%; background: currentColor;
  vertical-align: 0; }
.key .resume, .key .bad {
  width: 0; height: 13px; border: 0; border-left: 1.5px dashed var(--soft); vertical-align: -2px;
}
.key .bad { border-left: 2px solid var(--bad); }
.plot { position: relative; height: 190px; margin: 14px 18px 58px 46px; touch-action: pan-y; }
.wide .plot { height: 340px; margin-bottom: 76px; }
.plot svg { position: absolute; width: 100%; height: 100%; overflow: visible; }
.plot path { fill: none; vector-effect: non-scaling-stroke; }
.plot .grid { stroke: var(--grid); stroke-width: 1; }
.plot .line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; }
.plot .raw { stroke-width: 1; opacity: .5; }
.plot .dots { stroke-width: 7; }
.plot .resume { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
.plot .bad { stroke: var(--bad); stroke-width: 1.5; }
.plot .reference { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 6 4; opacity: .7; }
.train { color: var(--train); }
.validation { color: var(--validation); }
.plot span { position: absolute; font-size: 12px; line-height: 1.25; color: var(--soft);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.plot .y { right: 100%; padding-right: 8px; transform: translateY(-50%); }
.plot .x { top: 100%; padding-top: 6px; text-align: center; transform: translateX(-50%); }
.plot small { display: block; font-size: 11px; }
.plot .x-title { top: calc(100% + 38px); right: 0; font-size: 11px; }
.plot .note { color: var(--ink); text-shadow: 0 0 3px var(--paper), 0 0 3px var(--paper),
  0 0 3px var(--paper); }
.plot .above { transform: translateY(-118%); }
.plot .below { transform: translateY(45%); }
.cursor { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--soft);
  pointer-events: none; }
.cursor pre { position: absolute; top: 4px; left: 8px; padding: 6px 9px; font-size: 12px;
  white-space: pre; box-shadow: 0 1px 5px #0004; z-index: 1; }
.cursor.left pre { left: auto; right: 8px; }

.tables { columns: 320px; column-gap: 32px; }
table { width: 100%; margin: 0 0 20px; border-collapse: collapse; font-size: 13.5px;
  break-inside: avoid; }
caption { padding-bottom: 4px; font-weight: 600; text-align: left; }
th, td { padding: 3px 10px 3px 0; border-top: 1px solid var(--grid); text-align: left;
  vertical-align: top; font-weight: 400; }
th { width: 44%; color: var(--soft); }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.steps dt { margin-top: 12px; color: var(--soft); font-size: 13px; }
.steps dd { margin: 2px 0 0; }

@media (max-width: 560px) {
  body { padding: 18px 14px 32px; }
  .figures { grid-template-columns: repeat(2, 1fr); gap: 8px; }
  .wide .plot { height: 260px; }
  .key { margin: 0 12px 0 0; }
}
@media print {
  :root { color-scheme: light; --paper: #fff; --panel: #f6f6f4; --ink: #000; --soft: #444;
    --grid: #ccc; --train: #2468c4; --validation: #b8530b; --bad: #c2272d; --look: #8a5a00;
    --good: #1d7a3e; }
  body { max-width: none; padding: 0; font-size: 12px; }
  figure, .figures div, pre, dt { break-inside: avoid; }
  h2, dt { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT = """
const numbers = text => text ? text.split(" ").map(Number) : [];
const nearest = (steps, step) =>
  steps.reduce((best, at, i) => Math.abs(at - step) < Math.abs(steps[best] - step) ? i : best, 0);
for (const plot of document.querySelectorAll(".plot")) {
  const lines = [...plot.querySelectorAll("path[data-steps]")].map(path => ({
    name: path.dataset.name,
    steps: numbers(path.dataset.steps),
    values: path.dataset.values.split(" "),
  })).filter(line => line.steps.length);
  const cursor = plot.appendChild(document.createElement("div"));
  const words = cursor.appendChild(document.createElement("pre"));
  cursor.hidden = true;
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const [first, last] = [plot.dataset.first, plot.dataset.last].map(Number);
    const step = first + share * (last - first);
    words.textContent = lines.map(line => {
      const i = nearest(line.steps, step);
      return `${line.name} ${line.values[i]} at step ${line.steps[i].toLocaleString("en")}`;
    }).join("\\n");
    cursor.className = share > 0.5 ? "cursor left" : "cursor";
    cursor.style.left = `${100 * share}%`;
    cursor.hidden = false;
  });
  plot.addEventListener("pointerleave", () => { cursor.hidden = true; });
}
"""
