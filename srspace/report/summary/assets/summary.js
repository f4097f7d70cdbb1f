// The page of a benchmark.

const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const metric = (name) => data.metrics.find((found) => found.name === name);

fillTable(element("table"), "row", data.metrics, data.rows, choose);

if (data.plane) {
  element("plane-card").hidden = false;
  const axes = { x: metric(data.plane.x), y: metric(data.plane.y) };
  element("plane").append(drawPlane(data.plane.points, data.plane.paths, axes, choose, element("plane").clientWidth));
}

if (data.examples.length) {
  element("examples-card").hidden = false;
  element("ranking").textContent = data.ranking;
  element("examples").append(...data.examples.map(example));
}

for (const note of data.notes) {
  element("notes").append(Object.assign(document.createElement("li"), { textContent: note }));
}
document.documentElement.dataset.ready = "true";

function example({ image, best, crops }) {
  const section = Object.assign(document.createElement("section"), { className: "example" });
  const title = Object.assign(document.createElement("h3"), { textContent: `${best ? "Among the best" : "Among the worst"}: ${image}` });
  const sheet = Object.assign(document.createElement("div"), { className: "crops" });
  for (const { row, label, source, score } of crops) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    figure.dataset.key = row;
    caption.textContent = Number.isFinite(score) ? `${label} (${score.toFixed(3)})` : label;
    figure.append(Object.assign(document.createElement("img"), { src: source, alt: `${image}, ${label}` }), caption);
    sheet.append(figure);
  }
  section.append(title, sheet);
  return section;
}

/** Mark a row wherever it is shown. */
function choose(key) {
  markRow(element("table"), key);
  if (data.plane) markPoint(element("plane"), key);
  element("chosen").textContent = element("plane").querySelector(`[data-key="${CSS.escape(key)}"]`)?.getAttribute("aria-label") ?? "";
  for (const figure of document.querySelectorAll(".crops figure")) figure.classList.toggle("chosen", figure.dataset.key === key);
}
