"use strict";
// Axes as in axis.py, and how their values are written.

const stride = (span, count) => {
  const power = 10 ** Math.floor(Math.log10(span / count));
  return [1, 2, 5, 10].map(m => m * power).find(s => s >= span / count * (1 - 1e-9));
};

const SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800,
  43200, 86400];

const spaced = (low, high, step) => {
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push(Number((i * step).toPrecision(10)));
  }
  return ticks;
};

const powers = (low, high) => {
  const ticks = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) {
    for (const m of high / low > 30 ? [1] : [1, 2, 5]) ticks.push(m * 10 ** p);
  }
  return ticks.filter(tick => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
};

const axis = (low, high, { log = false, count = 5, unit = "" } = {}) => {
  let ticks = log ? powers(low, high) : [];
  if (ticks.length < 2) {
    const near = unit === "time" ? SECONDS.find(s => s >= (high - low) / count) : 0;
    ticks = spaced(low, high, near || stride(high - low, count));
  }
  const every = Math.ceil(ticks.length / (count + 3));
  ticks = ticks.filter((_, i) => i % every === 0);
  const share = log
    ? value => Math.log(value / low) / Math.log(high / low)
    : value => (value - low) / (high - low);
  const value = log
    ? share => low * (high / low) ** share
    : share => low + share * (high - low);
  return { low, high, ticks, share, value, log };
};

const short = value => {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  for (const [suffix, unit] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (size >= 0.9995 * unit) return Number((value / unit).toPrecision(4)) + suffix;
  }
  return size > 0 && size < 0.001
    ? Number(value.toPrecision(4)).toExponential().replace("e+", "e")
    : String(Number(value.toPrecision(5)));
};

const span = seconds => {
  const total = Math.round(seconds);
  const [d, h, m, s] = [Math.floor(total / 86400), Math.floor(total / 3600) % 24,
    Math.floor(total / 60) % 60, total % 60];
  if (d) return `${d}d${h ? `${h}h` : ""}`;
  if (h) return `${h}h${m ? `${m}m` : ""}`;
  return m ? `${m}m${s ? `${s}s` : ""}` : `${s}s`;
};

const written = {
  step: value => Math.round(value).toLocaleString("en"),
  tokens: value => short(Number(value.toPrecision(3))),
  time: span,
};
