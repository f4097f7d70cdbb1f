// With an original: metrics of each picture, and the perception-distortion plane.

function startScores() {
  if (!data.metrics.length) return;
  element("scores").hidden = false;
  const scored = data.pictures.filter((picture) => Object.keys(picture.scores).length);
  const cells = ({ scores }) => Object.fromEntries(Object.entries(scores).map(([name, value]) => [name, { value }]));
  const rows = scored.map((picture) => ({ key: picture.key, label: picture.label, cells: cells(picture) }));
  fillTable(element("table"), "picture", data.metrics, rows, choose);
  if (!data.plane) return;
  const axes = { x: metric(data.plane.x), y: metric(data.plane.y) };
  const points = scored.filter((picture) => picture.mode !== "bicubic").map((picture) => ({
    key: picture.key,
    label: picture.label,
    short: picture.value === null ? picture.label : picture.value.toFixed(2),
    x: picture.scores[axes.x.name],
    y: picture.scores[axes.y.name],
    small: picture.index !== null,
  }));
  const there = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  element("plane").append(drawPlane(there, [dialed.map((picture) => picture.key)], axes, choose, element("plane").clientWidth));
}

function metric(name) {
  return data.metrics.find((found) => found.name === name);
}

function drawScores() {
  const { key } = chosen();
  markRow(element("table"), key);
  markPoint(element("plane"), key);
}
