// The same place of several pictures, enlarged pixel by pixel.

const panes = []; // {canvas, caption, source, title, factor}: what to draw from, and how much smaller that is

function startMagnifier() {
  const spread = spreadCanvas();
  const original = byKey.get("original");
  addPane(() => left, () => byKey.get(state.left).label);
  addPane(() => right, () => element("right-badge").textContent);
  if (original) addPane(() => images.get("original"), () => original.label);
  addPane(() => spread, () => "where candidates differ");
  addPane(() => images.get("input"), () => "input", data.scale);
  element("panes").addEventListener("keydown", steer);
  element("zoom").addEventListener("input", (event) => change({ zoom: Number(event.target.value) }));
  element("busiest").addEventListener("click", () => change({ x: data.view.x, y: data.view.y }));
  new ResizeObserver(() => change({ zoom: state.zoom })).observe(element("panes"));
}

function addPane(source, title, factor = 1) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  figure.className = "pane";
  canvas.setAttribute("role", "img");
  figure.append(canvas, caption);
  element("panes").append(figure);
  panes.push({ canvas, caption, source, title, factor });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    let last = event;
    const drag = (moved) => {
      const step = 100 / state.zoom;
      change({ x: state.x - (moved.clientX - last.clientX) * step, y: state.y - (moved.clientY - last.clientY) * step });
      last = moved;
    };
    canvas.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => canvas.removeEventListener("pointermove", drag), { once: true });
    }
  });
}

/** Arrow keys move the view, plus and minus zoom. */
function steer(event) {
  const step = Math.max(1, Math.round(paneSide() / (state.zoom / 100) / 8));
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const zooms = { "+": 100, "=": 100, "-": -100 };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in moves) {
    const [dx, dy] = moves[event.key];
    change({ x: state.x + dx, y: state.y + dy });
  } else if (event.key in zooms) {
    change({ zoom: Math.min(800, Math.max(100, state.zoom + zooms[event.key])) });
  } else return;
  event.preventDefault();
}

/** How wide an element is shown, in CSS pixels and parts of them. */
function widthOf(shown) {
  return shown.getBoundingClientRect().width;
}

function paneSide() {
  return panes.length ? widthOf(panes[0].canvas) : 150;
}

/** Draw the place under the magnifier to a canvas as large as it is shown. */
function magnify(canvas, source, { factor = 1, zoom = state.zoom } = {}) {
  const side = widthOf(canvas);
  const size = Math.max(1, Math.round(side * devicePixelRatio));
  if (canvas.width !== size || canvas.height !== size) Object.assign(canvas, { width: size, height: size });
  const context = canvas.getContext("2d");
  const shown = side / (zoom / 100) / factor;
  context.imageSmoothingEnabled = false;
  context.clearRect(0, 0, size, size);
  context.drawImage(source, state.x / factor - shown / 2, state.y / factor - shown / 2, shown, shown, 0, 0, size, size);
}

function drawMagnifier() {
  element("zoom").value = state.zoom;
  element("zoom-value").textContent = `${state.zoom} %`;
  for (const { canvas, caption, source, title, factor } of panes) {
    if (source()) magnify(canvas, source(), { factor }); // else it is still being decoded
    const text = title();
    if (caption.textContent !== text) {
      caption.textContent = text;
      canvas.setAttribute("aria-label", `Magnified: ${text}`);
    }
  }
}
