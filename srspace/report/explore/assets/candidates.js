// The contact sheet: every candidate, at the place under the magnifier.

const thumbs = []; // {button, canvas, picture}

function startCandidates() {
  for (const picture of data.pictures.filter((p) => p.index !== null)) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "thumb" });
    const canvas = document.createElement("canvas");
    const text = document.createElement("span");
    text.textContent = picture.label;
    canvas.setAttribute("aria-hidden", "true");
    button.append(canvas, text);
    button.addEventListener("click", () => choose(picture.key));
    element("sheet").append(button);
    thumbs.push({ button, canvas, picture });
  }
}

function drawCandidates(names) {
  for (const { button, canvas, picture } of thumbs) {
    const own = state.mode === "candidate" && state.candidate === picture.index;
    button.setAttribute("aria-pressed", String(own));
    if (["x", "y", "zoom", "loaded"].some((name) => names.has(name)) && images.has(picture.key)) {
      // As large a part as in the magnifier's panes, so that the frame in the picture holds for both.
      magnify(canvas, images.get(picture.key), { zoom: (state.zoom * widthOf(canvas)) / paneSide() });
    }
  }
}
