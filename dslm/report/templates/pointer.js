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
    }).join("\n");
    cursor.className = share > 0.5 ? "cursor left" : "cursor";
    cursor.style.left = `${100 * share}%`;
    cursor.hidden = false;
  });
  plot.addEventListener("pointerleave", () => { cursor.hidden = true; });
}
