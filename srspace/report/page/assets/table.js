// A table whose columns sort: a click on a heading sorts by it, a second click the other way round.

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
