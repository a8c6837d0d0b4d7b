"use strict";
// A click on the head of a column orders the rows by it, another one the other way round.
for (const table of document.querySelectorAll("table.index")) {
  const [head, body] = [table.tHead.rows[0], table.tBodies[0]];
  [...head.cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") !== "ascending";
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "ascending" : "descending");
      const key = row => row.cells[column].dataset.key;
      const number = text => text === "inf" ? Infinity : text === "" ? NaN : Number(text);
      const before = (a, b) => {
        const [x, y] = [number(key(a)), number(key(b))];
        return Number.isNaN(x) || Number.isNaN(y)
          ? key(a).localeCompare(key(b)) : x === y ? 0 : x < y ? -1 : 1;
      };
      const rows = [...body.rows].sort((a, b) => down ? before(a, b) : before(b, a));
      body.append(...rows);
    });
  });
}
