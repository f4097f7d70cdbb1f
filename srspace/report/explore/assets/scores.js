// With an original: metrics of each picture, and the perception-distortion plane.

function startScores() {
  if (!data.metrics.length) return;
  element("scores").hidden = false;
  const scored = data.pictures.filter((picture) => Object.keys(picture.scores).length);
  fillTable(element("table"), scored);
  if (!data.plane) return;
  const axes = { x: metric(data.plane.x), y: metric(data.plane.y) };
  const points = scored.filter((picture) => picture.mode !== "bicubic").map((picture) => ({
    key: picture.key,
    label: picture.label,
    short: picture.value === null ? picture.label : picture.value.toFixed(2),
    x: picture.scores[axes.x.name],
    y: picture.scores[axes.y.name],
    small: picture.index !== null,
    path: picture.value === null ? "" : picture.mode,
  }));
  const there = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  element("plane").append(drawPlane(there, axes, choose, element("plane").clientWidth));
}

function metric(name) {
  return data.metrics.find((found) => found.name === name);
}

function fillTable(table, scored) {
  const head = table.createTHead().insertRow();
  heading(head, "picture", "col");
  for (const { title, unit, higher } of data.metrics) {
    const arrow = { true: " \u2191", false: " \u2193" }[higher] ?? "";
    const cell = heading(head, `${title}${unit ? ` (${unit})` : ""}${arrow}`, "col");
    cell.dataset.first = higher ? "descending" : "ascending";
  }
  const body = table.createTBody();
  for (const picture of scored) {
    const row = body.insertRow();
    row.dataset.key = picture.key;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: picture.label });
    button.addEventListener("click", () => choose(picture.key));
    heading(row, "", "row").append(button);
    for (const { name, decimals, higher } of data.metrics) {
      const value = picture.scores[name];
      const cell = row.insertCell();
      cell.dataset.value = value ?? "";
      cell.textContent = value?.toFixed(decimals) ?? "\u2013";
      if (value !== null && value === best(scored, name, higher)) cell.className = "best";
    }
  }
  sortable(table);
}

function heading(row, text, scope) {
  const cell = Object.assign(document.createElement("th"), { scope, textContent: text });
  row.append(cell);
  return cell;
}

function best(scored, name, higher) {
  const values = scored.map((picture) => picture.scores[name]).filter((value) => value !== null && value !== undefined);
  if (higher === null) return undefined;
  return higher ? Math.max(...values) : Math.min(...values);
}

function drawScores() {
  const { key } = chosen();
  for (const row of element("table").querySelectorAll("tbody tr")) row.classList.toggle("chosen", row.dataset.key === key);
  markPoint(element("plane"), key);
}
