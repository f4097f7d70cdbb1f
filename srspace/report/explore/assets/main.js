// Start: the two pictures of the stage first, then everything else.

const usual = dialed.length ? dialed[0].mode : ["fusion-lpips", "mean"].find((mode) => byKey.has(mode)) ?? data.pictures.at(-1).mode;
state.mode = usual;
state.balance = dialed.length ? nearestTo(0.8) : 0;
for (const note of data.notes) {
  element("notes").append(Object.assign(document.createElement("li"), { textContent: note }));
}

/** The balance of a picture in the page; what the dial opens at is then no mixture. */
function nearestTo(balance) {
  const away = (picture) => Math.abs(picture.value - balance);
  return dialed.reduce((a, b) => (away(b) < away(a) ? b : a)).value;
}

const { first, second } = chosen();
const loadRest = await loadPictures(["bicubic", first.key, ...(second ? [second.key] : [])]);
startStage();
startControls();
startMagnifier();
startCandidates();
startScores();

let waiting = new Set();
let said = "";
onChange((names) => {
  if (!waiting.size) requestAnimationFrame(redraw);
  for (const name of names) waiting.add(name);
});

/** Draw what changed, once a frame however often it changed. */
function redraw() {
  const names = waiting;
  waiting = new Set();
  const { first: one, second: other } = chosen();
  if (!images.has(one.key) || (other && !images.has(other.key)) || !images.has(state.left)) return; // drawn once it is loaded
  drawControls(names);
  drawStage(names);
  drawMagnifier();
  drawCandidates(names);
  drawScores();
  announce();
}

/** Tell a screen reader which picture is shown now. */
function announce() {
  const { key, label } = chosen();
  const scores = data.metrics.map(({ name, title, decimals }) => {
    const value = byKey.get(key).scores[name];
    return value === null || value === undefined ? "" : `${title} ${value.toFixed(decimals)}`;
  });
  const text = [`Right: ${label}`, ...scores.filter(Boolean)].join(", ");
  if (text !== said) element("status").textContent = text;
  said = text;
}

const everything = Object.keys(state);
const refresh = () => change(Object.fromEntries([...everything, "loaded"].map((name) => [name, state[name]])));
refresh();
await loadRest();
refresh();
document.documentElement.dataset.ready = "true";
