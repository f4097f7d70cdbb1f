// The two pictures with the divider between them.

const [left, right, slider, frame] = ["left", "right", "slider", "frame"].map(element);

function startStage() {
  for (const canvas of [left, right]) Object.assign(canvas, { width: data.width, height: data.height });
  element("stage").style.setProperty("--aspect", data.width / data.height);
  slider.addEventListener("slide", announceDivider);
  slider.addEventListener("keydown", (event) => {
    if (event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    slider.value = event.key === "Home" ? 0 : 100;
    announceDivider();
  });
  for (const canvas of [left, right]) {
    canvas.addEventListener("pointerdown", (event) => {
      if (overHandle(event)) return;
      placeMagnifier(event);
      const move = (moved) => placeMagnifier(moved);
      window.addEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) {
        window.addEventListener(end, () => window.removeEventListener("pointermove", move), { once: true });
      }
    });
  }
  const sharpen = () => right.classList.toggle("enlarged", right.clientWidth * devicePixelRatio > 2 * data.width);
  new ResizeObserver(() => {
    sharpen();
    placeFrame();
  }).observe(element("stage"));
}

/** The handle lets the pointer through to what is below it, as the slider's own does. */
function overHandle(event) {
  const box = slider.querySelector("[slot=handle]").getBoundingClientRect();
  return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
}

function placeMagnifier(event) {
  const box = right.getBoundingClientRect();
  change({
    x: ((event.clientX - box.left) / box.width) * data.width,
    y: ((event.clientY - box.top) / box.height) * data.height,
  });
}

function announceDivider() {
  slider.setAttribute("aria-valuenow", Math.round(slider.value));
  slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} percent of the picture show ${byKey.get(state.left).label}`);
}

function drawStage(names) {
  if (names.has("left")) {
    paint(left, state.left);
    element("left-badge").textContent = byKey.get(state.left).label;
    left.setAttribute("aria-label", `${data.name}, ${byKey.get(state.left).label}`);
    announceDivider();
  }
  if (["mode", "balance", "candidate", "overlay"].some((name) => names.has(name))) {
    const { first, second, share, label } = chosen();
    paint(right, first.key, second?.key, share);
    coverCanvas(right, state.overlay);
    const title = { none: label, spread: `${label}: where candidates differ`, difference: `${label}: difference to bicubic` }[state.overlay];
    element("right-badge").textContent = title;
    right.setAttribute("aria-label", `${data.name}, ${title}`);
    drawLegend();
  }
  if (["x", "y", "zoom"].some((name) => names.has(name))) placeFrame();
}

/** Frame the part that the magnifier shows. */
function placeFrame() {
  const shown = paneSide() / (state.zoom / 100);
  const factor = widthOf(right) / data.width;
  const side = shown * factor;
  Object.assign(frame.style, {
    width: `${side}px`,
    height: `${side}px`,
    left: `${state.x * factor - side / 2}px`,
    top: `${state.y * factor - side / 2}px`,
  });
}
