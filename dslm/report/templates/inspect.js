// Draws the attention of every head of a stack, and reads it by pointer and keyboard.

const stacks = JSON.parse(document.getElementById("look").textContent);
const part = name => document.querySelector(`#attention ${name}`);
const [controls, matrix, said, looks, all] =
  [".controls", ".matrix", "output", ".looks", ".heads"].map(part);
const mark = matrix.querySelector("i");
const { stack: ofStack, layer: ofLayer, head: ofHead } = controls.elements;
let stack, map, buttons;
const at = { row: 0, column: 0 };

const unpacked = async text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
};

// A stack with its weights as bytes; what one head holds is `area` of them.
const opened = async found => ({
  ...found,
  area: found.causal ? found.rows.length * (found.rows.length + 1) / 2
    : found.rows.length * found.columns.length,
  weights: await unpacked(found.weights),
  rollout: found.rollout && await unpacked(found.rollout),
});

// The place of a pair of tokens among the weights of a head; none where nothing is seen.
const place = (row, column) => {
  if (!stack.causal) return row * stack.columns.length + column;
  return column > row ? -1 : row * (row + 1) / 2 + column;
};

const draw = (canvas, map) => {
  const [red, green, blue] = getComputedStyle(all).color.match(/\d+/g).map(Number);
  const [width, height] = [stack.columns.length, stack.rows.length];
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const seen = place(row, column);
      const shade = seen < 0 ? 0 : Math.sqrt(255 * map[seen]);  // so that small ones are seen
      picture.data.set([red, green, blue, shade], 4 * (row * width + column));
    }
  }
  context.putImageData(picture, 0, 0);
};

const head = (layer, number) => {
  const first = (layer * stack.heads + number) * stack.area;
  return stack.weights.subarray(first, first + stack.area);
};
const mean = layer => {
  const every = Array.from({ length: stack.heads }, (_, number) => head(layer, number));
  return Float32Array.from({ length: stack.area }, (_, i) =>
    every.reduce((sum, one) => sum + one[i], 0) / stack.heads);
};

const read = () => {
  const { row, column } = at, { rows, columns } = stack;
  const weight = other => (place(row, other) < 0 ? 0 : map[place(row, other)] / 255);
  said.textContent = `${rows[row]} → ${columns[column]}: ${weight(column).toFixed(3)}`
    + `  (token ${row + 1} → ${column + 1})`;
  [...looks.children].forEach((span, other) => {
    span.style.setProperty("--share", `${100 * weight(other)}%`);
    span.classList.toggle("from", rows === columns && other === row);
    span.lastChild.textContent = weight(other).toFixed(2);
  });
  mark.style.left = `${100 * column / columns.length}%`;
  mark.style.top = `${100 * row / rows.length}%`;
};
const show = () => {
  const [number, chosen] = [Number(ofLayer.value), ofHead.value];
  if (chosen === "mean") map = mean(number);
  else if (chosen === "rollout") {
    map = stack.rollout.subarray(number * stack.area, (number + 1) * stack.area);
  } else map = head(number, Number(chosen));
  buttons.forEach((button, n) =>
    button.setAttribute("aria-pressed", String(n === number * stack.heads + Number(chosen))));
  draw(matrix.querySelector("canvas"), map);
  read();
};
const paint = () => {
  buttons.forEach((button, n) =>
    draw(button.firstChild, head(Math.floor(n / stack.heads), n % stack.heads)));
  show();
};

const button = number => {
  const made = document.createElement("button");
  const [layer, which] = [Math.floor(number / stack.heads), number % stack.heads];
  made.type = "button";
  made.title = `layer ${layer + 1}, head ${which + 1}`;
  made.setAttribute("aria-label", made.title);
  made.append(document.createElement("canvas"));
  made.addEventListener("click", () => {
    ofLayer.value = layer;
    ofHead.value = which;
    show();
  });
  return made;
};
const look = token => {
  const span = document.createElement("span");
  span.append(token, document.createElement("small"));
  return span;
};
const numbered = count => Array.from({ length: count }, (_, n) => new Option(n + 1, n));

// Puts a stack in place of the one before.
const begin = chosen => {
  stack = chosen;
  const { rows, columns, layers, heads } = stack;
  ofLayer.replaceChildren(...numbered(layers));
  ofHead.replaceChildren(new Option("mean of all", "mean"), ...numbered(heads),
    ...(stack.rollout ? [new Option("rollout up to this layer", "rollout")] : []));
  buttons = Array.from({ length: layers * heads }, (_, number) => button(number));
  all.style.gridTemplateColumns = `repeat(${heads}, minmax(44px, 96px))`;
  all.replaceChildren(...buttons);
  looks.replaceChildren(...columns.map(look));
  all.style.setProperty("--shape", columns.length / rows.length);
  matrix.style.setProperty("--shape", columns.length / rows.length);
  mark.style.width = `${100 / columns.length}%`;
  mark.style.height = `${100 / rows.length}%`;
  Object.assign(at, { row: rows.length - 1, column: 0 });
  paint();
};

const within = (share, size) => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
matrix.addEventListener("pointermove", event => {
  const box = matrix.getBoundingClientRect();
  at.row = within((event.clientY - box.top) / box.height, stack.rows.length);
  at.column = within((event.clientX - box.left) / box.width, stack.columns.length);
  read();
});
const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
matrix.addEventListener("keydown", event => {
  const way = ways[event.key];
  if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  at.row = Math.min(stack.rows.length - 1, Math.max(0, at.row + way[0]));
  at.column = Math.min(stack.columns.length - 1, Math.max(0, at.column + way[1]));
  read();
});

Promise.all(stacks.map(opened)).then(found => {
  controls.addEventListener("change", event =>
    event.target === ofStack ? begin(found[Number(ofStack.value)]) : show());
  controls.addEventListener("submit", event => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  controls.hidden = matrix.hidden = false;
  begin(found[0]);
});
