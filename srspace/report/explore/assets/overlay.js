// Maps over the right picture: where candidates differ, and how it differs from bicubic interpolation.

// Colours from dark to light, evenly spaced in lightness, which the colour-blind can tell apart as well.
const STOPS = [[13, 8, 65], [86, 16, 110], [150, 38, 101], [208, 70, 70], [243, 120, 25], [251, 186, 31], [252, 255, 164]];
const DIFFERENCE_PEAK = 32; // levels of 255 that the last colour stands for

/** The colour of a value from 0 to 1. */
function colourOf(value) {
  const place = Math.min(0.9999, Math.max(0, value)) * (STOPS.length - 1);
  const [below, share] = [Math.floor(place), place % 1];
  return STOPS[below].map((low, channel) => low + share * (STOPS[below + 1][channel] - low));
}

const COLOURS = Array.from({ length: 256 }, (_, level) => colourOf(level / 255));
const OPACITY = Array.from({ length: 256 }, (_, level) => 0.35 + 0.6 * Math.sqrt(level / 255));

/** Put a map over RGBA values: the picture below turns grey and dark, so that colours are the map's alone. */
function cover(values, level) {
  for (let i = 0; i < values.length; i += 4) {
    const grey = 0.75 * (0.299 * values[i] + 0.587 * values[i + 1] + 0.114 * values[i + 2]);
    const value = level(i);
    const colour = COLOURS[value];
    const opacity = OPACITY[value];
    for (let c = 0; c < 3; c += 1) values[i + c] = grey + opacity * (colour[c] - grey);
  }
}

function spreadLevels() {
  const values = pixels("spread");
  return (i) => values[i];
}

function differenceLevels(values) {
  const other = pixels("bicubic");
  const gain = 255 / DIFFERENCE_PEAK;
  return (i) => {
    const sum = Math.abs(values[i] - other[i]) + Math.abs(values[i + 1] - other[i + 1]) + Math.abs(values[i + 2] - other[i + 2]);
    return Math.min(255, Math.round((gain * sum) / 3));
  };
}

/** Put the chosen map over a canvas that shows a picture. */
function coverCanvas(canvas, overlay) {
  if (overlay === "none") return;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const shown = context.getImageData(0, 0, canvas.width, canvas.height);
  cover(shown.data, overlay === "spread" ? spreadLevels() : differenceLevels(shown.data));
  context.putImageData(shown, 0, 0);
}

/** The map of the spread alone, for the magnifier. */
function spreadCanvas() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: data.width, height: data.height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(data.width, data.height);
  const level = spreadLevels();
  for (let i = 0; i < image.data.length; i += 4) image.data.set([...COLOURS[level(i)], 255], i);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Show what the colours of the chosen map mean. */
function drawLegend() {
  const { overlay } = state;
  element("legend").hidden = overlay === "none";
  if (overlay === "none") return;
  const spread = overlay === "spread";
  const peak = spread ? data.spread.peak : DIFFERENCE_PEAK;
  element("legend-title").textContent = spread
    ? "Standard deviation of the candidates, in levels of 255"
    : "Difference to bicubic, in levels of 255";
  element("legend-peak").textContent = `${peak >= 10 ? Math.round(peak) : peak.toFixed(1)} or more`;
  const context = element("legend-bar").getContext("2d");
  const bar = context.createImageData(256, 1);
  for (let i = 0; i < 256; i += 1) bar.data.set([128, 128, 128, 255], 4 * i);
  cover(bar.data, (i) => i / 4);
  context.putImageData(bar, 0, 0);
}
