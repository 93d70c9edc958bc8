"use strict";
(() => {
  const table = document.getElementById("experiments");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const WORDS = { Infinity: Infinity, "+Infinity": Infinity, "-Infinity": -Infinity };

  // What a cell sorts by: [rank, value]. Numbers stand before texts; NaN, then empty cells, stand last either way.
  const key = (cell) => {
    const said = cell.dataset.v ?? (cell.title || cell.textContent);
    const text = said.trim();
    if (text === "") return [3, 0];
    if (/^[+-]?nan$/i.test(text)) return [2, 0];
    if (Object.hasOwn(WORDS, text)) return [0, WORDS[text]];
    return NUMBER.test(text) ? [0, Number(text)] : [1, text];
  };

  const compare = (a, b, sign) => {
    if (a[0] > 1 || b[0] > 1) return a[0] - b[0];
    if (a[0] !== b[0]) return sign * (a[0] - b[0]);
    if (a[0] === 1) return sign * collator.compare(a[1], b[1]);
    return a[1] === b[1] ? 0 : sign * (a[1] < b[1] ? -1 : 1);
  };

  const sort = (header) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    const column = header.cellIndex;
    const keyed = rows.map((row) => [key(row.cells[column]), row]);
    keyed.sort((a, b) => compare(a[0], b[0], up ? 1 : -1));
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const sorted = document.createDocumentFragment();
    for (const [, row] of keyed) sorted.append(row);
    body.append(sorted);
  };

  let texts = null;
  const textOf = (row) => [...row.cells].slice(0, -1).map((cell) => cell.title || cell.textContent).join("\n").toLowerCase();
  const filter = () => {
    texts ??= rows.map(textOf);
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = words.every((word) => texts[index].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      shown += fits;
    });
    count.textContent = words.length ? `${shown} of ${rows.length} shown` : `${rows.length} shown`;
  };

  for (const header of headers) header.querySelector("button")?.addEventListener("click", () => sort(header));
  input.addEventListener("input", filter);
  filter();
})();
