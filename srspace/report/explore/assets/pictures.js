// The pictures of the page, decoded.

const images = new Map(); // by the key of a picture; also "input" and "spread"

/** Decode everything; what is needed first comes first. */
async function loadPictures(first) {
  const sources = new Map(data.pictures.map((picture) => [picture.key, picture.source]));
  sources.set("input", data.input).set("spread", data.spread.source);
  const load = async (key) => {
    if (images.has(key)) return;
    const image = new Image();
    image.src = sources.get(key);
    await image.decode();
    images.set(key, image);
  };
  await Promise.all([...first, "input", "spread"].map(load));
  return () => Promise.all([...sources.keys()].map(load));
}

/** Draw a picture, or two of them cross-faded, over the whole canvas. */
function paint(canvas, first, second = null, share = 0) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalAlpha = 1;
  context.drawImage(images.get(first), 0, 0);
  if (second && share > 0 && images.has(second)) {
    context.globalAlpha = share;
    context.drawImage(images.get(second), 0, 0);
    context.globalAlpha = 1;
  }
}

const kept = new Map();

/** The RGBA values of a picture; kept, for they are asked for again and again. */
function pixels(key) {
  if (!kept.has(key)) {
    const canvas = new OffscreenCanvas(data.width, data.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(images.get(key), 0, 0);
    kept.set(key, context.getImageData(0, 0, data.width, data.height).data);
  }
  return kept.get(key);
}
