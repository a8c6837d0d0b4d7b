// Draws the attention of every head, and reads it by pointer and keyboard.

const look = JSON.parse(document.getElementById("look").textContent);
const { tokens, layers, heads, causal } = look;
const size = tokens.length;
const area = causal ? size * (size + 1) / 2 : size * size;
const part = name => document.querySelector(`#attention ${name}`);
const [controls, matrix, said, looks, all] =
  [".controls", ".matrix", "output", ".looks", ".heads"].map(part);
const mark = matrix.querySelector("i");
const at = { row: size - 1, column: 0 };

const unpacked = async text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
};

// The place of a pair of tokens among the weights of a head; none where nothing is seen.
const place = (row, column) => {
  if (!causal) return row * size + column;
  return column > row ? -1 : row * (row + 1) / 2 + column;
};

const draw = (canvas, map) => {
  const [red, green, blue] = getComputedStyle(all).color.match(/\d+/g).map(Number);
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d"), picture = context.createImageData(size, size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const seen = place(row, column);
      const shade = seen < 0 ? 0 : Math.sqrt(255 * map[seen]);  // so that small ones are seen
      picture.data.set([red, green, blue, shade], 4 * (row * size + column));
    }
  }
  context.putImageData(picture, 0, 0);
};

const began = ([weights, rollout]) => {
  const head = (layer, number) => {
    const first = (layer * heads + number) * area;
    return weights.subarray(first, first + area);
  };
  const mean = layer => {
    const every = Array.from({ length: heads }, (_, number) => head(layer, number));
    return Float32Array.from({ length: area }, (_, i) =>
      every.reduce((sum, one) => sum + one[i], 0) / heads);
  };
  let map;

  const buttons = Array.from({ length: layers * heads }, (_, number) => {
    const button = document.createElement("button");
    const [layer, which] = [Math.floor(number / heads), number % heads];
    button.type = "button";
    button.title = `layer ${layer + 1}, head ${which + 1}`;
    button.setAttribute("aria-label", button.title);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => {
      controls.elements.layer.value = layer;
      controls.elements.head.value = which;
      show();
    });
    return button;
  });
  all.style.gridTemplateColumns = `repeat(${heads}, minmax(44px, 96px))`;
  all.append(...buttons);
  looks.append(...tokens.map(token => {
    const span = document.createElement("span");
    span.append(token, document.createElement("small"));
    return span;
  }));

  const read = () => {
    const { row, column } = at;
    const weight = other => (place(row, other) < 0 ? 0 : map[place(row, other)] / 255);
    said.textContent = `${tokens[row]} → ${tokens[column]}: ${weight(column).toFixed(3)}`
      + `  (token ${row + 1} → ${column + 1})`;
    [...looks.children].forEach((span, other) => {
      span.style.setProperty("--share", `${100 * weight(other)}%`);
      span.classList.toggle("from", other === row);
      span.lastChild.textContent = weight(other).toFixed(2);
    });
    for (const [side, where] of [["left", column], ["top", row]]) {
      mark.style[side] = `${100 * where / size}%`;
    }
  };
  const show = () => {
    const { layer, head: which } = controls.elements;
    const [number, chosen] = [Number(layer.value), which.value];
    if (chosen === "mean") map = mean(number);
    else if (chosen === "rollout") map = rollout.subarray(number * area, (number + 1) * area);
    else map = head(number, Number(chosen));
    buttons.forEach((button, n) =>
      button.setAttribute("aria-pressed", String(n === number * heads + Number(chosen))));
    draw(matrix.querySelector("canvas"), map);
    read();
  };
  const paint = () => {
    buttons.forEach((button, n) =>
      draw(button.firstChild, head(Math.floor(n / heads), n % heads)));
    show();
  };

  const within = share => Math.min(size - 1, Math.max(0, Math.floor(share * size)));
  matrix.addEventListener("pointermove", event => {
    const box = matrix.getBoundingClientRect();
    at.row = within((event.clientY - box.top) / box.height);
    at.column = within((event.clientX - box.left) / box.width);
    read();
  });
  const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  matrix.addEventListener("keydown", event => {
    const way = ways[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    at.row = Math.min(size - 1, Math.max(0, at.row + way[0]));
    at.column = Math.min(size - 1, Math.max(0, at.column + way[1]));
    read();
  });
  controls.addEventListener("change", show);
  controls.addEventListener("submit", event => event.preventDefault());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  mark.style.width = mark.style.height = `${100 / size}%`;
  controls.hidden = matrix.hidden = false;
  paint();
};

Promise.all([look.weights, look.rollout].map(unpacked)).then(began);
