// The perception-distortion plane as SVG, with points that can be chosen.

const MARGIN = { left: 62, right: 22, top: 18, bottom: 52 };

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/**
 * Draw a plane.
 *
 * `points` are `{key, label, short, x, y, small}`: `short` stands beside the point, unless it is small. `paths` are
 * lists of keys, whose points are joined by a line. `axes` are `{x, y}`, each `{title, decimals, higher}`. `choose` is called with the key of
 * a point that is clicked, or chosen by Enter or Space. `width` is that of the place where it will stand, in pixels.
 */
function drawPlane(points, paths, axes, choose, width) {
  const area = { width: Math.min(720, Math.max(300, width)), ...MARGIN };
  area.height = Math.max(300, Math.round(area.width * 0.66));
  const across = scaleOf(points.map((p) => p.x), area.left, area.width - area.right);
  const up = scaleOf(points.map((p) => p.y), area.height - area.bottom, area.top);
  const root = svg("svg", { class: "plane", viewBox: `0 0 ${area.width} ${area.height}`, role: "group" });
  root.setAttribute("aria-label", `Plane of ${axes.x.title} and ${axes.y.title}`);
  root.append(...grid(across, up, axes, area));
  const lines = [];
  for (const path of paths) {
    const along = path.map((key) => points.find((p) => p.key === key)).filter(Boolean).map((p) => [across.at(p.x), up.at(p.y)]);
    root.append(svg("polyline", { class: "path", points: along.join(" ") }));
    lines.push(along);
  }
  const taken = points.map((p) => box(across.at(p.x) - 5, up.at(p.y) - 5, 10, 10));
  for (const line of lines) taken.push(...dotsAlong(line));
  // Small points lie below the others.
  for (const point of [...points].sort((a, b) => Boolean(b.small) - Boolean(a.small))) {
    root.append(marker(point, [across.at(point.x), up.at(point.y)], axes, area, taken, choose));
  }
  return root;
}

function marker(point, [x, y], axes, area, taken, choose) {
  const figures = `${axes.x.title} ${point.x.toFixed(axes.x.decimals)}, ${axes.y.title} ${point.y.toFixed(axes.y.decimals)}`;
  const group = svg(
    "g",
    { class: point.small ? "point small" : "point", tabindex: 0, role: "button", "data-key": point.key, "aria-pressed": "false" },
    svg("title", {}, `${point.label}: ${figures}`),
    svg("circle", { class: "reach", cx: x, cy: y, r: 13 }),
    svg("circle", { class: "dot", cx: x, cy: y, r: point.small ? 3.5 : 6 }),
  );
  group.setAttribute("aria-label", `${point.label}: ${figures}`);
  const place = point.small ? null : freePlace(x, y, widthOfText(point.short), area, taken);
  if (place) {
    taken.push(place);
    const anchor = place.anchor;
    group.append(svg("text", { x: place.textX, y: place.textY, "text-anchor": anchor }, point.short));
  }
  group.addEventListener("click", () => choose(point.key));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(point.key);
  });
  return group;
}

/** How wide a label is when it is bold, as that of a chosen point. */
function widthOfText(text) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `700 12px ${getComputedStyle(document.body).fontFamily}`;
  return context.measureText(text).width;
}

/** Where a label covers nothing: right, left, above or below its point; nowhere where all is taken. */
function freePlace(x, y, width, area, taken) {
  const places = [
    { ...box(x + 9, y - 7, width, 14), textX: x + 10, textY: y + 4, anchor: "start" },
    { ...box(x - 9 - width, y - 7, width, 14), textX: x - 10, textY: y + 4, anchor: "end" },
    { ...box(x - width / 2, y - 24, width, 14), textX: x, textY: y - 12, anchor: "middle" },
    { ...box(x - width / 2, y + 10, width, 14), textX: x, textY: y + 21, anchor: "middle" },
  ];
  const inside = (p) => p.left > area.left && p.right < area.width && p.top > 0 && p.bottom < area.height - area.bottom;
  const free = (p) => taken.every((t) => p.right < t.left || p.left > t.right || p.bottom < t.top || p.top > t.bottom);
  return places.find((p) => inside(p) && free(p));
}

/** Small boxes along a line, which labels keep clear of. */
function dotsAlong(line) {
  return line.slice(1).flatMap(([x, y], k) => {
    const [fromX, fromY] = line[k];
    const count = Math.ceil(Math.hypot(x - fromX, y - fromY) / 6);
    return Array.from({ length: count }, (_, i) => box(fromX + ((x - fromX) * i) / count - 1, fromY + ((y - fromY) * i) / count - 1, 2, 2));
  });
}

function box(left, top, width, height) {
  return { left, top, right: left + width, bottom: top + height };
}

function scaleOf(values, from, to) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const margin = (high - low) * 0.1 || Math.abs(high) * 0.05 || 1;
  const [start, end] = [low - margin, high + margin];
  const step = niceStep((end - start) / 6);
  const ticks = [];
  for (let k = Math.ceil(start / step); k * step <= end; k += 1) ticks.push(k * step);
  return { ticks, step, at: (value) => from + ((value - start) / (end - start)) * (to - from) };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
}

function grid(across, up, axes, area) {
  const { width, height, left, right, top, bottom } = area;
  const digits = (step) => Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const lines = [];
  for (const tick of across.ticks) {
    const x = across.at(tick);
    lines.push(svg("line", { class: "grid", x1: x, x2: x, y1: top, y2: height - bottom }));
    lines.push(svg("text", { class: "tick", x, y: height - bottom + 16, "text-anchor": "middle" }, tick.toFixed(digits(across.step))));
  }
  for (const tick of up.ticks) {
    const y = up.at(tick);
    lines.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
    lines.push(svg("text", { class: "tick", x: left - 6, y: y + 4, "text-anchor": "end" }, tick.toFixed(digits(up.step))));
  }
  const middle = (top + height - bottom) / 2;
  lines.push(svg("text", { x: (left + width - right) / 2, y: height - 10, "text-anchor": "middle" }, axisTitle(axes.x, "\u2192", "\u2190")));
  lines.push(
    svg("text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, axisTitle(axes.y, "\u2192", "\u2190")),
  );
  return lines;
}

/** A title with an arrow towards the better end. */
function axisTitle(axis, upwards, downwards) {
  const title = axis.unit ? `${axis.title} (${axis.unit})` : axis.title;
  return axis.higher ? `${title}   better ${upwards}` : `${downwards} better   ${title}`;
}

/** Mark the point of that key, and no other. */
function markPoint(root, key) {
  for (const point of root.querySelectorAll(".point")) {
    const chosen = point.dataset.key === key;
    point.classList.toggle("chosen", chosen);
    point.setAttribute("aria-pressed", String(chosen));
  }
}
