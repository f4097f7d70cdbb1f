// What the page shows, and who is told when that changes.

const data = JSON.parse(document.getElementById("data").textContent);
const byKey = new Map(data.pictures.map((picture) => [picture.key, picture]));
const dialed = data.pictures.filter((picture) => picture.value !== null);
const element = (id) => document.getElementById(id);

const state = {
  left: "bicubic", // key of a picture
  mode: "", // of the picture on the right
  balance: 0.5, // of the dial; pictures between two balances are cross-faded
  candidate: 0, // which one, in the mode "candidate"
  overlay: "none", // "none", "spread" or "difference"
  zoom: 400, // of the magnifier, in percent
  x: data.view.x, // its centre, in output pixels
  y: data.view.y,
};

const listeners = [];

/** Have `listener` called with the names of what changed. */
function onChange(listener) {
  listeners.push(listener);
}

/** Change the state and tell everybody. */
function change(changes) {
  Object.assign(state, changes);
  state.x = inside(state.x, data.width);
  state.y = inside(state.y, data.height);
  const names = new Set(Object.keys(changes));
  for (const listener of listeners) listener(names);
}

/** The magnifier's centre along one side, so that it shows nothing beside the picture unless it is larger. */
function inside(centre, length) {
  const margin = Math.min(paneSide() / (state.zoom / 100), length) / 2;
  return Math.min(length - margin, Math.max(margin, centre));
}

/** The modes in order, each with its pictures. */
function modes() {
  return Map.groupBy ? Map.groupBy(data.pictures, (picture) => picture.mode) : grouped();
}

function grouped() {
  const found = new Map();
  for (const picture of data.pictures) found.set(picture.mode, [...(found.get(picture.mode) ?? []), picture]);
  return found;
}

/**
 * The picture on the right: the pictures it is made of and how much of the second shows, the key of the nearest, and
 * what it is called.
 */
function chosen() {
  if (dialed.length && state.mode === dialed[0].mode) return dialAt(state.balance);
  const found = state.mode === "candidate" ? data.pictures.filter((p) => p.index !== null)[state.candidate] : byKey.get(state.mode);
  return { first: found, second: null, share: 0, key: found.key, label: found.label };
}

function dialAt(balance) {
  const above = dialed.findIndex((picture) => picture.value >= balance - 1e-9);
  const second = dialed[above < 0 ? dialed.length - 1 : above];
  const first = dialed[Math.max(0, (above < 0 ? dialed.length : above) - 1)];
  const width = second.value - first.value;
  const share = width > 0 ? (balance - first.value) / width : 1;
  const nearest = share < 0.5 ? first : second;
  return { first, second, share, key: nearest.key, label: `${first.mode} ${balance.toFixed(2)}` };
}

/** Show the picture of that key on the right. */
function choose(key) {
  const picture = byKey.get(key);
  const changes = { mode: picture.mode };
  if (picture.value !== null) changes.balance = picture.value;
  if (picture.index !== null) changes.candidate = picture.index;
  change(changes);
}
