// Small drawings of files, one after another: a strip of hundreds must not hold as many whole images.

const SIDE_PX = 96;

export class Thumbnails {
  /** @param {AbortSignal} signal ends it. */
  constructor(signal) {
    this.signal = signal;
    this.ahead = [];
    this.isDrawing = false;
  }

  async add(items) {
    this.ahead.push(...items);
    if (this.isDrawing) return;
    this.isDrawing = true;
    while (this.ahead.length > 0 && !this.signal.aborted) await draw(this.ahead.shift());
    this.isDrawing = false;
  }
}

async function draw({ file, thumbnail }) {
  try {
    const picture = await createImageBitmap(file);
    const scale = SIDE_PX / Math.min(picture.width, picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    thumbnail.width = thumbnail.height = SIDE_PX;
    thumbnail.getContext("2d").drawImage(picture, (SIDE_PX - width) / 2, (SIDE_PX - height) / 2, width, height);
    picture.close();
  } catch {
    // no image, or one of a kind that the service reads and the browser does not
  }
}
