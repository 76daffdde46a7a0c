// A map of cells painted as the service paints it: clear below 0.8 of the threshold, yellow at it, red
// from 1.6 times it; bilinear between the cells' centres. What lies outside of the region is darkened.

const CLEAR = 0.8;
const FULL = 1.6;
const YELLOW = [255, 215, 0];
const RED = [215, 0, 20];
const SIDE_PX = 256;
const OUTSIDE = [20, 20, 25, 150];

/** Return a canvas of the map, to be laid over the picture at any size. */
export function heatmap(cells, threshold) {
  return painted(cells, filled(cells), (value) => colour(value / threshold));
}

/** Return a canvas that darkens cells that do not count; null if all count. */
export function outside(cells) {
  if (!cells.flat().includes(null)) return null;
  return painted(cells, cells.map((row) => row.map(() => 0)), () => [0, 0, 0, 0], OUTSIDE);
}

function painted(cells, values, colourOf, beyond = [0, 0, 0, 0]) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE_PX;
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE_PX, SIDE_PX);
  const [down, across] = [places(cells.length), places(cells[0].length)];
  for (let y = 0; y < SIDE_PX; y += 1) {
    const { cell: row, low: top, high: bottom, part: below } = down[y];
    for (let x = 0; x < SIDE_PX; x += 1) {
      const { cell: column, low: left, high: right, part: beside } = across[x];
      const isOutside = cells[row][column] === null;
      const upper = values[top][left] * (1 - beside) + values[top][right] * beside;
      const lower = values[bottom][left] * (1 - beside) + values[bottom][right] * beside;
      image.data.set(isOutside ? beyond : colourOf(upper * (1 - below) + lower * below), 4 * (y * SIDE_PX + x));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** For every pixel of a side: its cell, the two whose centres it lies between, and how far between. */
function places(cells) {
  return Array.from({ length: SIDE_PX }, (_, pixel) => {
    const at = ((pixel + 0.5) / SIDE_PX) * cells;
    const centred = Math.min(cells - 1, Math.max(0, at - 0.5));
    const low = Math.floor(centred);
    return { cell: Math.min(cells - 1, Math.floor(at)), low, high: Math.min(cells - 1, low + 1), part: centred - low };
  });
}

/** Cells outside of the region take the value of the nearest inside, so that they do not dim its edge. */
function filled(cells) {
  const inside = cells.flatMap((row, y) => row.map((value, x) => ({ value, x, y }))).filter(({ value }) => value !== null);
  return cells.map((row, y) => row.map((value, x) => {
    if (value !== null || inside.length === 0) return value ?? 0;
    const away = (cell) => (cell.x - x) ** 2 + (cell.y - y) ** 2;
    return inside.reduce((best, cell) => (away(cell) < away(best) ? cell : best)).value;
  }));
}

function colour(ratio) {
  const between = (low, value) => Math.min(1, Math.max(0, (value - low) / (FULL - low)));
  const redness = between(1, ratio);
  const mixed = YELLOW.map((value, i) => value * (1 - redness) + RED[i] * redness);
  return [...mixed, 255 * Math.sqrt(between(CLEAR, ratio))];
}
