// Tables of metrics whose columns sort: a click on a heading sorts by it, a second click the other way round.

/**
 * Fill an empty table.
 *
 * `columns` are `{name, title, unit, decimals, higher}`; `rows` are `{key, label, cells}`, with `{value, note}` in
 * `cells` by a column's name. The best value of a column is marked, where it has a better direction. `choose` is
 * called with the key of a row whose label is clicked.
 */
function fillTable(table, title, columns, rows, choose) {
  const head = table.createTHead().insertRow();
  addHeading(head, title, "col");
  for (const { title: text, unit, higher } of columns) {
    const arrow = { true: " \u2191", false: " \u2193" }[higher] ?? "";
    addHeading(head, `${text}${unit ? ` (${unit})` : ""}${arrow}`, "col").dataset.first = higher ? "descending" : "ascending";
  }
  const body = table.createTBody();
  for (const { key, label, cells } of rows) {
    const row = body.insertRow();
    row.dataset.key = key;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.addEventListener("click", () => choose(key));
    addHeading(row, "", "row").append(button);
    for (const { name, decimals, higher } of columns) {
      const { value = null, note } = cells[name] ?? {};
      const cell = row.insertCell();
      cell.dataset.value = value ?? "";
      cell.textContent = value?.toFixed(decimals) ?? "\u2013";
      if (note) cell.append(Object.assign(document.createElement("small"), { textContent: note }));
      if (value !== null && value.toFixed(decimals) === bestOf(rows, name, higher)?.toFixed(decimals)) cell.className = "best";
    }
  }
  sortable(table);
}

function addHeading(row, text, scope) {
  const cell = Object.assign(document.createElement("th"), { scope, textContent: text });
  row.append(cell);
  return cell;
}

function bestOf(rows, name, higher) {
  const values = rows.map(({ cells }) => cells[name]?.value).filter(Number.isFinite);
  if (higher === null || values.length < 2) return undefined;
  return higher ? Math.max(...values) : Math.min(...values);
}

/** Mark the row of that key, and no other. */
function markRow(table, key) {
  for (const row of table.querySelectorAll("tbody tr")) row.classList.toggle("chosen", row.dataset.key === key);
}

/** Make the headings of a table sort its rows, by `data-value` of the cells where they have one. */
function sortable(table) {
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sortBy(table, column));
  }
}

function sortBy(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const first = heading.dataset.first ?? "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = heading.getAttribute("aria-sort") === first ? other : first;
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // what has no value comes last
    const numbers = x - y;
    return sign * (Number.isNaN(numbers) ? x.localeCompare(y, undefined, { numeric: true }) : numbers);
  });
  table.tBodies[0].append(...rows);
}
