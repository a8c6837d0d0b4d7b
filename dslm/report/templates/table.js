"use strict";
// A click on the head of a column orders the rows by it, another one the other way round; what is
// not known comes last.
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
      const before = (a, b) => {
        const [x, y] = [Number(a), Number(b)];
        return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
      };
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (!x || !y) return !x - !y;
        return down ? before(x, y) : before(y, x);
      });
      body.append(...rows);
    });
  });
}
