// The tables that are in the page from the start: their columns sort, too.

function sortable(table) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = h("button", { type: "button", onclick: () => sort(head, at) });
    button.append(...head.childNodes);
    head.append(button);
  });

  function sort(head, at) {
    const descending = head.getAttribute("aria-sort") !== "descending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const keys = new Map([...body.rows].map((row) => [row, keyOf(row.cells[at])]));
    body.append(...[...body.rows].sort((a, b) => compare(keys.get(a), keys.get(b), descending ? -1 : 1)));
  }
}

/** What the cell says that it is worth, as `50 ms` beside `3.4 s`; else a number where it begins with one, else its
    text; nothing of an empty one. */
function keyOf(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  if (text === "" || text === "–") return null;
  const number = text
    .replace(/[−]/g, "-")
    .replace(/[,$×+<>]/g, "")
    .match(/^-?\d+(\.\d+)?/);
  return number ? Number(number[0]) : text.toLowerCase();
}
