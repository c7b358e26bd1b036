// From a reader's file to raw pixels. The file is a stranger's: its kind and size are read from its
// head, because a small file can claim a picture that fills the memory.

export const MOST = 10000; // pixels a side
export const HUGE = 1024; // pixels a side, beyond which the page shrinks the picture first
const SHRUNK = 512; // pixels of its shorter side then: the other is cut to it, in the graph
const MOST_BYTES = 100e6;

export class Refused extends Error {} // its message is for the reader, in one line

const ascii = (bytes, from, to) => String.fromCharCode(...bytes.slice(from, to));

const kind = (bytes) => {
  const text = ascii(bytes, 0, 64), box = ascii(bytes, 4, 12);
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("RIFF") && ascii(bytes, 8, 12) === "WEBP") return "WebP";
  if (text.startsWith("GIF8")) return "a GIF";
  if (text.startsWith("BM")) return "a BMP";
  if (text.startsWith("%PDF")) return "a PDF";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "a TIFF";
  if (/^ftyp(hei|hev|mif|msf)/.test(box)) return "a HEIC";
  if (/^ftypavi/.test(box)) return "an AVIF";
  if (/^\W*<(\?xml|svg|!DOCTYPE svg)/i.test(text)) return "an SVG";
  return "no picture";
};

const bytesOf = async (blob, from, length) =>
  new DataView(await blob.slice(from, from + length).arrayBuffer());

// [width, height] as the head says, or null where it says nothing.
const claimed = async (blob, format) => {
  const head = await bytesOf(blob, 0, 30);
  const u24 = (at) => head.getUint16(at, true) | (head.getUint8(at + 2) << 16);
  if (format === "PNG") return [head.getUint32(16), head.getUint32(20)];
  if (format === "WebP") {
    const part = String.fromCharCode(...[12, 13, 14, 15].map((k) => head.getUint8(k)));
    if (part === "VP8X") return [u24(24) + 1, u24(27) + 1];
    if (part === "VP8 ") return [head.getUint16(26, true) & 16383, head.getUint16(28, true) & 16383];
    const bits = head.getUint32(21, true);
    return [(bits & 16383) + 1, ((bits >> 14) & 16383) + 1];
  }
  for (let at = 2; ; ) { // JPEG: segment after segment, up to the one with the size
    const segment = await bytesOf(blob, at, 9);
    const marker = segment.getUint8(1);
    if (segment.getUint8(0) !== 0xff || marker === 0xda) return null;
    if (marker === 0xff) at += 1; // filling
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return [segment.getUint16(7), segment.getUint16(5)];
    else if (segment.getUint16(2) < 2) return null; // no segment is shorter than its own length
    else at += 2 + segment.getUint16(2);
  }
};

// Draws a bitmap, a video or a canvas, and returns {width, height, rgb, done}.
export const pixelsOf = (source, width, height) => {
  let done = `${width} × ${height} pixels`;
  const shorter = Math.min(width, height), longer = Math.max(width, height);
  const factor = longer > HUGE && shorter > SHRUNK ? SHRUNK / shorter : 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * factor));
  canvas.height = Math.max(1, Math.round(height * factor));
  if (factor < 1) done += `, shrunk by this page to ${canvas.width} × ${canvas.height}`;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white"; // below what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  const rgba = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  return { width: canvas.width, height: canvas.height, rgb, done, canvas };
};

// Returns the pixels of a PNG, JPEG or WebP file; raises Refused for all else.
export const readPicture = async (blob, name) => {
  if (blob.size === 0) throw new Refused(`${name} is empty: give a PNG, JPEG or WebP picture.`);
  const format = kind(new Uint8Array(await blob.slice(0, 64).arrayBuffer()));
  if (!["PNG", "JPEG", "WebP"].includes(format))
    throw new Refused(`${name} is ${format}; PNG, JPEG and WebP can be read: convert it first.`);
  if (blob.size > MOST_BYTES)
    throw new Refused(`${name} has ${Math.round(blob.size / 1e6)} MB, and 100 are the most: shrink it first.`);
  const broken = new Refused(`${name} cannot be read as a picture: is it complete?`);
  let size = null;
  try {
    size = await claimed(blob, format);
  } catch {
    throw broken; // it ends within its head
  }
  if (size && Math.max(...size) > MOST)
    throw new Refused(`${name} is ${size[0]} × ${size[1]} pixels, and ${MOST} a side is the most: shrink it first.`);
  let bitmap;
  try {
    // The bytes as they stand, as Python reads them; a camera's rotation mark is obeyed.
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw broken;
  }
  try {
    return pixelsOf(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
};
