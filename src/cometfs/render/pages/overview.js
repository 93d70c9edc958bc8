// Sorts and filters the table. The page has all rows as markup: the first in the table, the others in a template, where
// they cost no layout. Of the rows that fit the filter, as many are in the table as are scrolled to: a browser lays out
// 200 rows of 50 columns at once, but 5,000 in ten seconds.
"use strict";
(() => {
  const table = document.getElementById("experiments");
  const rest = document.getElementById("rest");
  // Links lead out of summary/. A browser that opened the page by the link in the project's directory takes them from
  // there, which is a level higher: it follows no symbolic link of an address.
  if (!location.pathname.split("/").slice(-2, -1).includes("summary")) {
    for (const part of [document, ...(rest ? [rest.content] : [])]) {
      for (const one of part.querySelectorAll('a[href^="./../"], img[src^="./../"]')) {
        const name = one.localName === "a" ? "href" : "src";
        one.setAttribute(name, one.getAttribute(name).replace("./../", "./"));
      }
    }
  }
  if (!table) return;
  const STEP = 200;
  const body = table.tBodies[0];
  const frame = table.parentElement;
  const headers = [...table.tHead.rows[0].cells];
  const input = document.getElementById("filter");
  const count = document.getElementById("count");
  const fault = document.getElementById("fault");
  const rows = [...body.rows, ...(rest ? rest.content.querySelectorAll("tr") : [])];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  const WORDS = { Infinity: Infinity, "+Infinity": Infinity, "-Infinity": -Infinity };
  let ordered = rows;
  let fitting = rows;
  let texts = null;

  const whole = (cell) => cell.title || cell.textContent;

  // What a text sorts by: [rank, value]. Numbers stand before texts; NaN, then nothing, stand last either way.
  const keyOf = (said) => {
    const text = said.trim();
    if (text === "") return [3, 0];
    if (/^[+-]?nan$/i.test(text)) return [2, 0];
    if (Object.hasOwn(WORDS, text)) return [0, WORDS[text]];
    return NUMBER.test(text) ? [0, Number(text)] : [1, text];
  };
  const key = (cell) => keyOf(cell.dataset.v ?? whole(cell));

  const within = (a, b) => (a[0] === 1 ? collator.compare(a[1], b[1]) : a[1] === b[1] ? 0 : a[1] < b[1] ? -1 : 1);

  const compare = (a, b, sign) => {
    if (a[0] > 1 || b[0] > 1) return a[0] - b[0];
    return sign * (a[0] !== b[0] ? a[0] - b[0] : within(a, b));
  };

  // -- The filter: words, which may stand in any cell, and conditions, as in `sgd lr=0.03 "val/top 5" >= 0.97` ----------

  const PART = String.raw`"[^"]*(?:"|$)|(?:[^\s"<>=!]|!(?!=))+`;
  const CONDITION = new RegExp(String.raw`\s*(?:(${PART})?\s*(<=|>=|!=|==?|<|>)\s*(${PART})?|(${PART}))`, "y");
  const UNITS = { s: 1, min: 60, h: 3600, d: 86400 };
  const HOLDS = { "<": (o) => o < 0, "<=": (o) => o <= 0, ">": (o) => o > 0, ">=": (o) => o >= 0 };

  const bare = (part) => (part?.startsWith('"') ? part.slice(1).replace(/"$/, "") : part);

  const columnOf = (full, read) => ({ full, short: full.replace(/^(param|metric)\./, ""), read });

  // What a cell has to compare with: of a duration its seconds, of tags each of them.
  const valuesOf = (cell) => {
    if (cell.dataset.v !== undefined) return [String(cell.dataset.v / 1000)];
    const several = [...cell.querySelectorAll("i")];
    return several.length ? several.map((one) => one.textContent) : [whole(cell), cell.textContent];
  };

  const columns = headers
    .filter((header) => header.dataset.column)
    .map((header) => columnOf(header.dataset.column, (row) => valuesOf(row.cells[header.cellIndex])));
  // Parameters with one value everywhere are no columns, but a condition may name them.
  for (const row of document.querySelectorAll("#same tr")) {
    columns.push(columnOf(`param.${row.cells[0].textContent}`, () => [row.cells[1].textContent]));
  }

  const named = (name) => {
    const lower = name.toLowerCase();
    const tests = [
      (column) => column.full === name || column.short === name,
      (column) => column.full.toLowerCase() === lower || column.short.toLowerCase() === lower,
    ];
    return tests.map((test) => columns.filter(test)).find((found) => found.length) ?? [];
  };

  const hasWords = (column) => (column.words ??= rows.some((row) => column.read(row).some((one) => keyOf(one)[0] === 1)));

  const operandOf = (column, text) => {
    const spoken = column.full === "duration" && /^([\d.]+)\s*(s|min|h|d)$/.exec(text);
    return spoken ? String(spoken[1] * UNITS[spoken[2]]) : text;
  };

  const equals = (value, operand) => {
    const [a, b] = [keyOf(value), keyOf(operand)];
    return a[0] === 0 && b[0] === 0 ? a[1] === b[1] : value.toLowerCase() === operand.toLowerCase();
  };

  const testOf = (column, operator, operand) => {
    const against = column.full === "start" ? [1, operand] : keyOf(operand); // 2026 is a beginning of times
    if (operator.includes("=") && !(operator in HOLDS)) {
      return (row) => column.read(row).some((value) => equals(value, operand)) === (operator !== "!=");
    }
    const fits = (value) => value[0] === against[0] && value[0] < 2 && HOLDS[operator](within(value, against));
    return (row) => fits(keyOf(column.read(row)[0]));
  };

  // Of a condition [its test, ""], or [null, what is wrong with it].
  const read = (said, name, operator, value) => {
    if (!name) return [null, `Before “${said}” the name of a column is missing.`];
    if (value === undefined) return [null, `After “${said}” a value is missing.`];
    const found = named(name);
    if (!found.length) return [null, `No column here is called “${name}”. To look for the text, quote it: "${said}"`];
    if (found.length > 1) return [null, `“${name}” may be ${found.map((one) => one.full).join(" or ")}: write which.`];
    const operand = operandOf(found[0], value);
    if (operator in HOLDS && keyOf(operand)[0] > 0 && !hasWords(found[0])) {
      return [null, `“${value}” is no number, and ${name} has nothing else.`];
    }
    return [testOf(found[0], operator, operand), ""];
  };

  const parsed = (text) => {
    const filter = { words: [], tests: [], faults: [] };
    CONDITION.lastIndex = 0;
    for (let match; (match = CONDITION.exec(text)); ) {
      const [said, name, operator, value, word] = match;
      if (operator) {
        const [test, wrong] = read(said.trim(), bare(name), operator, bare(value));
        if (test) filter.tests.push(test);
        else filter.faults.push(wrong);
      } else filter.words.push(bare(word).toLowerCase());
    }
    return filter;
  };

  const textOf = (row) => {
    texts ??= new Map();
    if (!texts.has(row)) {
      const cells = [...row.cells].slice(0, -1);
      texts.set(row, cells.map((cell) => `${cell.title}\n${cell.textContent}`).join("\n").toLowerCase());
    }
    return texts.get(row);
  };

  // -- The table --------------------------------------------------------------------------------------------------------

  const more = () => {
    const next = document.createDocumentFragment();
    for (const row of fitting.slice(body.rows.length, body.rows.length + STEP)) next.append(row);
    body.append(next);
  };

  // A condition that cannot be read is left out, and said to be wrong.
  const show = () => {
    const { words, tests, faults } = parsed(input.value);
    const fits = (row) => tests.every((test) => test(row)) && words.every((word) => textOf(row).includes(word));
    fitting = ordered.filter(fits);
    body.replaceChildren();
    more();
    frame.scrollTop = 0;
    count.textContent = `${fitting.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    fault.textContent = faults.join(" ");
    input.setAttribute("aria-invalid", String(faults.length > 0));
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
