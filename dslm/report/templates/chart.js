// A chart that is drawn anew: another section, another axis, other curves.

const numbers = text => text.split(" ").map(Number);

const points = path => {
  let step = 0;
  const values = path.dataset.values.split(";").map(numbers);
  return path.dataset.steps.split(";").map((part, i) =>
    numbers(part).map((ahead, j) => [step += ahead, values[i][j]]));
};

const put = (parent, name, attributes, text = "") => {
  const made = document.createElementNS(parent.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return parent.appendChild(made);
};

class Plot {
  // `view` is what all charts of the page share, `clock(run, unit)` turns a step into that unit.
  constructor(box, view, clock) {
    Object.assign(this, { box, view, clock, zoom: null });
    this.svg = box.querySelector("svg");
    this.figure = box.closest("figure");
    this.paths = [...box.querySelectorAll("path.line")];
    this.log = this.button("log").getAttribute("aria-pressed") === "true";
    this.steps = [Number(box.dataset.first), Number(box.dataset.last)];
    this.tokensBelow = Boolean(box.querySelector(".x small"));
  }

  button(what) { return this.figure.querySelector(`[data-do=${what}]`); }

  get lines() {
    this.read ??= this.paths.map(path => ({
      path, name: path.dataset.name, group: path.dataset.group, run: Number(path.dataset.run),
      end: Number(path.dataset.end), parts: path.dataset.steps ? points(path) : [],
    }));
    return this.read;
  }

  get shown() {
    return this.lines.filter(line => line.path.dataset.at.includes(this.view.smoothing)
      && !this.view.hidden.includes(line.group));
  }

  x(line, step) { return this.clock(line.run, this.view.unit, step); }

  // The whole horizontal range, in the unit of the view; of tokens and time after the end of a run
  // nothing is known.
  get whole() {
    const ends = this.lines.map(line => this.steps.map(step => this.x(line, Math.min(step, line.end))));
    const [low, high] = [Math.min(...ends.map(e => e[0])), Math.max(...ends.map(e => e[1]))];
    if (!this.view.logX) return [low, high];
    const above = this.lines.flatMap(line => line.parts.flat().map(([step]) => this.x(line, step)))
      .filter(x => x > 0);
    return [Math.max(low, above.reduce((least, x) => Math.min(least, x), high)), high];
  }

  within(low, high) {
    const found = [];
    for (const line of this.shown) {
      for (const part of line.parts) {
        for (const [step, value] of part) {
          const x = this.x(line, step);
          if (x >= low && x <= high) found.push(value);
        }
      }
    }
    return found;
  }

  axes() {
    const [low, high] = this.zoom ?? this.whole;
    const count = this.figure.classList.contains("wide") ? 8 : 5;
    const across = axis(low, high, { log: this.view.logX, count, unit: this.view.unit });
    let values = this.within(low, high);
    if (!this.zoom) {
      values = values.concat([...this.svg.querySelectorAll(".reference")]
        .map(path => Number(path.dataset.value)));
    }
    const positive = values.filter(value => value > 0);
    if (this.log && positive.length) {
      const [least, most] = [Math.min(...positive), Math.max(...positive)];
      return [across, axis(least * 0.95, Math.max(most, least * 1.1) * 1.05, { log: true })];
    }
    if (!values.length) values = [0, 1];
    let [least, most] = [Math.min(...values), Math.max(...values)];
    if ("zero" in this.box.dataset && !this.zoom) {
      [least, most] = [Math.min(0, least), Math.max(0, most)];
    }
    if (least === most) [least, most] = [least - (Math.abs(least) || 1) / 10, most + (Math.abs(most) || 1) / 10];
    const step = stride(most - least, 5);
    return [across, axis(Math.floor(least / step + 1e-9) * step, Math.ceil(most / step - 1e-9) * step)];
  }

  // The axes of the picture that came with the page, which are those of the whole.
  ready() { if (!this.across) [this.across, this.up] = this.axes(); }

  draw() {
    const [across, up] = [this.across, this.up] = this.axes();
    const at = (x, value) => [
      Math.round(1e4 * across.share(x)) / 10, Math.round(1e4 * (1 - up.share(value))) / 10];
    this.svg.classList.toggle("zoomed", Boolean(this.zoom) || this.log || this.view.logX);
    const smooth = this.shown.filter(line => !line.path.matches(".raw,.dots")).map(line => line.run);
    for (const line of this.lines) {
      line.path.classList.toggle("alone", !smooth.includes(line.run));
      this.route(line, at);
    }
    for (const mark of this.svg.querySelectorAll(".resume,.bad,.reference,.ring")) this.mark(mark, at);
    this.label(across, up);
    this.button("log").setAttribute("aria-pressed", String(this.log));
    this.button("reset").hidden = !this.zoom;
    this.figure.querySelector(".log").textContent = this.log ? ", logarithmic axis" : "";
    for (const key of this.figure.querySelectorAll(".key[data-group]")) this.key(key);
  }

  route(line, at) {
    const hidden = !this.shown.includes(line);
    line.path.toggleAttribute("hidden", hidden);
    if (hidden) return;
    const dots = line.path.classList.contains("dots");
    const drawable = ([step, value]) => (!this.log || value > 0)
      && (!this.view.logX || this.x(line, step) > 0);
    line.path.setAttribute("d", line.parts.map(part => part.filter(drawable)).map(part => {
      const places = part.map(([step, value]) => at(this.x(line, step), value).join(" "));
      return dots || part.length === 1
        ? places.map(place => `M${place}h0`).join("")
        : places.length ? `M${places.join(" ")}` : "";
    }).join("") || "M0 0");
  }

  mark(path, at) {
    const [step, value] = [path.dataset.step, path.dataset.value].map(Number);
    const x = "step" in path.dataset ? this.clock(0, this.view.unit, step) : this.across.low;
    const y = "value" in path.dataset ? value : this.up.low;
    const [left, top] = at(x, y);
    const seen = left >= 0 && left <= 1000 && top >= 0 && top <= 1000;
    path.toggleAttribute("hidden", !seen);
    if (!seen) return;
    path.setAttribute("d", path.classList.contains("ring") ? `M${left} ${top}h0`
      : "value" in path.dataset ? `M0 ${top}H1000`
        : `M${left} ${path.classList.contains("bad") ? 940 : 0}V1000`);
  }

  label(across, up) {
    for (const old of this.box.querySelectorAll(".x,.y,.grid")) old.remove();
    const before = this.svg.firstChild;
    const decimals = up.log ? null : Math.max(...up.ticks.map(tick =>
      Math.abs(tick) >= 1000 || /e/.test(tick) ? 0 : (String(tick).split(".")[1] ?? "").length));
    for (const tick of up.ticks) {
      const top = 1 - up.share(tick);
      const text = decimals !== null && Math.max(...up.ticks.map(Math.abs)) < 1000
        && Math.abs(up.ticks[1] - up.ticks[0]) >= 0.001 ? tick.toFixed(decimals) : short(tick);
      put(this.box, "span", { class: "y", style: `top:${100 * top}%` }, text);
      this.svg.insertBefore(put(this.svg, "path", { class: "grid", d: `M0 ${1000 * top}H1000` }), before);
    }
    const below = this.tokensBelow && this.view.unit === "step";
    for (const tick of across.ticks) {
      const left = `left:${100 * across.share(tick)}%`;
      const mark = put(this.box, "span", { class: "x", style: left }, written[this.view.unit](tick));
      if (below) put(mark, "small", {}, written.tokens(this.clock(0, "tokens", tick)));
    }
    const title = { step: "steps", tokens: "tokens seen", time: "time of training" };
    this.box.querySelector(".x-title").textContent =
      title[this.view.unit] + (below ? ", tokens below" : "");
  }

  key(key) {
    const { group } = key.dataset;
    key.setAttribute("aria-pressed", String(!this.view.hidden.includes(group)));
    const line = this.lines.find(one => one.group === group
      && one.path.dataset.at.includes(this.view.smoothing));
    key.classList.toggle("absent", !line);
    if (line) key.querySelector("span").textContent = line.name;
  }
}
