// Sorts and filters the table. The page has all rows as markup: the first in the table, the others in a template, where
// they cost no layout. Of the rows that fit the filter, as many are in the table as are scrolled to: a browser lays out
// 200 rows of 50 columns at once, but 5,000 in ten seconds.
"use strict";
(() => {
  const table = document.getElementById("experiments");
  if (!table) return;
  const STEP = 200;
  const body = table.tBodies[0];
  const frame = table.parentElement;
  const headers = [...table.tHead.rows[0].cells];
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const rest = document.getElementById("rest");
  const rows = [...body.rows, ...(rest ? rest.content.querySelectorAll("tr") : [])];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const WORDS = { Infinity: Infinity, "+Infinity": Infinity, "-Infinity": -Infinity };
  let ordered = rows;
  let fitting = rows;
  let texts = null;

  const whole = (cell) => cell.title || cell.textContent;

  // What a cell sorts by: [rank, value]. Numbers stand before texts; NaN, then empty cells, stand last either way.
  const key = (cell) => {
    const text = (cell.dataset.v ?? whole(cell)).trim();
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

  const more = () => {
    const next = document.createDocumentFragment();
    for (const row of fitting.slice(body.rows.length, body.rows.length + STEP)) next.append(row);
    body.append(next);
  };

  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !texts) {
      texts = new Map(rows.map((row) => [row, [...row.cells].slice(0, -1).map(whole).join("\n").toLowerCase()]));
    }
    fitting = words.length ? ordered.filter((row) => words.every((word) => texts.get(row).includes(word))) : ordered;
    body.replaceChildren();
    more();
    frame.scrollTop = 0;
    count.textContent = `${fitting.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };

  const sort = (header) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    const keyed = rows.map((row) => [key(row.cells[header.cellIndex]), row]);
    keyed.sort((a, b) => compare(a[0], b[0], up ? 1 : -1));
    ordered = keyed.map((pair) => pair[1]);
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    show();
  };

  const scrolled = () => {
    const near = frame.scrollTop + 2 * frame.clientHeight > frame.scrollHeight;
    if (near && body.rows.length < fitting.length) more();
  };

  for (const header of headers) header.querySelector("button")?.addEventListener("click", () => sort(header));
  input.addEventListener("input", show);
  frame.addEventListener("scroll", scrolled, { passive: true });
  show();
})();
