// What is shown on either side of the divider, and on top of it.

function startControls() {
  for (const [mode, pictures] of modes()) element("modes").append(chip(mode, pictures[0].help));
  for (const [mode, pictures] of modes()) element("left-choice").append(...options(mode, pictures));
  element("left-choice").value = state.left;
  element("left-choice").addEventListener("change", (event) => change({ left: event.target.value }));
  element("modes").addEventListener("change", (event) => change({ mode: event.target.value }));
  element("overlays").addEventListener("change", (event) => change({ overlay: event.target.value }));
  const balance = element("balance");
  if (dialed.length) Object.assign(balance, { min: dialed[0].value, max: dialed.at(-1).value, value: state.balance });
  element("dial").hidden = !dialed.length;
  balance.addEventListener("input", () => change({ mode: dialed[0].mode, balance: Number(balance.value) }));
}

function chip(mode, help) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "mode", value: mode });
  const text = document.createElement("span");
  label.className = "chip";
  label.title = help;
  text.textContent = mode;
  label.append(input, text);
  return label;
}

function options(mode, pictures) {
  const found = pictures.map((picture) => new Option(picture.label, picture.key));
  if (found.length === 1) return found;
  const group = document.createElement("optgroup");
  group.label = mode;
  group.append(...found);
  return [group];
}

function drawControls(names) {
  if (names.has("mode")) {
    for (const input of element("modes").querySelectorAll("input")) input.checked = input.value === state.mode;
    element("mode-help").textContent = chosen().first.help;
  }
  if (names.has("mode") || names.has("balance")) {
    element("balance").value = state.balance;
    const text = state.balance.toFixed(2);
    element("balance-value").textContent = text;
    element("balance").setAttribute("aria-valuetext", `balance ${text}`);
  }
}
