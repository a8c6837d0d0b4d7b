// What the pointer, the keyboard and the controls do.

const clocks = JSON.parse(document.body.dataset.clocks ?? "[]");
const clock = (run, unit, step) => {
  if (unit === "step") return step;
  const { steps, [unit]: values } = clocks[run];
  let after = steps.findIndex(one => one >= step);
  if (after < 0) after = steps.length - 1;
  const before = after > 0 ? [steps[after - 1], values[after - 1]] : [0, 0];
  const way = (step - before[0]) / Math.max(1e-9, steps[after] - before[0]);
  return before[1] + way * (values[after] - before[1]);
};

const STORED = `dslm ${location.pathname}`;
const controls = document.querySelector(".controls");
const view = { unit: "step", logX: false, smoothing: "m", hidden: [] };
const plots = [...document.querySelectorAll(".plot")].map(box => new Plot(box, view, clock));
const drawAll = () => plots.forEach(plot => plot.draw());

const zoomTo = (plot, low, high) => {
  const [least, most] = plot.whole;
  const ends = [Math.max(least, low), Math.min(most, high)];
  plot.zoom = ends[0] <= least && ends[1] >= most ? null : ends;
  plot.draw();
};

// Magnifies around a share of the width.
const magnify = (plot, share, factor) => {
  const value = s => plot.across.value(s);
  zoomTo(plot, value(share - share / factor), value(share + (1 - share) / factor));
};

const act = {
  log: plot => { plot.log = !plot.log; plot.draw(); },
  reset: plot => { plot.zoom = null; plot.draw(); plot.box.focus(); },
};

const nearest = (plot, line, x) => {
  let best = null;
  for (const part of line.parts) {
    for (const [step, value] of part) {
      const away = Math.abs(plot.x(line, step) - x);
      if (!best || away < best.away) best = { away, step, value };
    }
  }
  return best;
};

// One line a curve: its colour, its name, and the point that is nearest.
const say = (text, plot, x) => {
  text.replaceChildren();
  for (const line of plot.shown.filter(one => one.parts.length)) {
    const { step, value } = nearest(plot, line, x);
    const at = view.unit === "step" ? "" : `, ${written[view.unit](plot.x(line, step))}`;
    const row = put(text, "div", {});
    put(row, "i", { class: line.path.getAttribute("class").replace("line ", "") });
    row.append(`${line.name} ${short(value)} at step ${step.toLocaleString("en")}${at}`);
  }
};

const pointed = plot => {
  const cursor = put(plot.box, "div", { class: "cursor", hidden: "" });
  const text = put(cursor, "pre", { "aria-live": "polite" });
  const band = put(plot.box, "div", { class: "band", hidden: "" });
  let [share, from] = [0.5, null];
  const shareOf = event => {
    const box = plot.box.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const show = () => {
    plot.ready();
    say(text, plot, plot.across.value(share));
    cursor.classList.toggle("left", share > 0.5);
    cursor.style.left = `${100 * share}%`;
    cursor.hidden = false;
  };
  plot.box.addEventListener("pointermove", event => {
    share = shareOf(event);
    show();
    if (from === null) return;
    band.style.left = `${100 * Math.min(from, share)}%`;
    band.style.width = `${100 * Math.abs(share - from)}%`;
    band.hidden = false;
  });
  plot.box.addEventListener("pointerdown", event => {
    if (event.button || event.pointerType === "touch") return;  // a finger scrolls
    from = shareOf(event);
    plot.box.setPointerCapture(event.pointerId);
  });
  const release = event => {
    if (from === null) return;
    const [low, high] = [from, shareOf(event)].sort((a, b) => a - b);
    from = null;
    band.hidden = true;
    if (event.type === "pointerup" && high - low > 0.01) {
      zoomTo(plot, plot.across.value(low), plot.across.value(high));
      show();
    }
  };
  plot.box.addEventListener("pointerup", release);
  plot.box.addEventListener("pointercancel", release);
  plot.box.addEventListener("dblclick", () => act.reset(plot));
  plot.box.addEventListener("pointerleave", () => { if (from === null) cursor.hidden = true; });
  plot.box.addEventListener("blur", () => { cursor.hidden = true; });
  const keys = {
    ArrowLeft: () => { share = Math.max(0, share - 0.01); },
    ArrowRight: () => { share = Math.min(1, share + 0.01); },
    "+": () => magnify(plot, share, 2),
    "-": () => magnify(plot, share, 0.5),
    0: () => act.reset(plot),
    Escape: () => act.reset(plot),
  };
  plot.box.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    plot.ready();
    keys[event.key]();
    show();
  });
  plot.box.tabIndex = 0;
  plot.box.setAttribute("role", "group");
  plot.box.setAttribute("aria-label", `${plot.figure.querySelector("b").textContent}: arrow keys `
    + "read values, + and - zoom, 0 shows all");
};

const toggled = group => {
  view.hidden = view.hidden.includes(group)
    ? view.hidden.filter(one => one !== group) : [...view.hidden, group];
  drawAll();
  marked();
};

// The keys of the page's legend, which belong to no chart.
const marked = () => {
  for (const key of document.querySelectorAll(".legend .key[data-group]")) {
    key.setAttribute("aria-pressed", String(!view.hidden.includes(key.dataset.group)));
  }
};

for (const key of document.querySelectorAll(".key[data-group]")) {
  const button = document.createElement("button");
  for (const { name, value } of key.attributes) button.setAttribute(name, value);
  button.type = "button";
  button.title = "show or hide";
  button.setAttribute("aria-pressed", "true");
  button.append(...key.childNodes);
  button.addEventListener("click", () => toggled(button.dataset.group));
  key.replaceWith(button);
}

for (const plot of plots) {
  pointed(plot);
  plot.figure.querySelector(".tools").hidden = false;
  for (const what of Object.keys(act)) plot.button(what).addEventListener("click", () => act[what](plot));
}

const chosen = () => {
  const before = view.unit + view.logX;
  view.unit = controls.elements.unit.value;
  view.smoothing = controls.elements.smoothing.value;
  view.logX = controls.elements.log_x.checked;
  if (view.unit + view.logX !== before) for (const plot of plots) plot.zoom = null;
  drawAll();
};

if (controls) {
  controls.hidden = false;
  controls.addEventListener("change", chosen);
  controls.addEventListener("submit", event => event.preventDefault());
}

// A page that is written anew every few seconds is read anew, and looks as it did.
const storage = (() => { try { return sessionStorage; } catch { return null; } })();
const restore = ({ shared, each, top }) => {
  Object.assign(view, shared);
  plots.forEach((plot, i) => Object.assign(plot, each[i]));
  controls.elements.unit.value = view.unit;
  controls.elements.smoothing.value = view.smoothing;
  controls.elements.log_x.checked = view.logX;
  drawAll();
  marked();
  scrollTo(0, top);
};
const again = () => {
  if (document.querySelector(".band:not([hidden])")) return;
  const each = plots.map(({ zoom, log }) => ({ zoom, log }));
  storage?.setItem(STORED, JSON.stringify({ shared: view, each, top: scrollY }));
  location.reload();
};
const stored = storage?.getItem(STORED);
if (stored) {
  storage.removeItem(STORED);
  restore(JSON.parse(stored));
}
if ("watch" in document.body.dataset) setInterval(again, 1000 * document.body.dataset.watch);
