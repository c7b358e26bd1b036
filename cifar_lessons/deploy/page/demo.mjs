// The demo: a picture from a file, the clipboard, a sample or the camera, and five bars.
import { load } from "./classifier.mjs";
import { pixelsOf, readPicture, Refused } from "./picture.mjs";

const SHOWN = 5;

const blobOf = (address) => { // a data URI, without asking anything of the network
  const [head, body] = address.split(",");
  const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
};

// 99.96 is no 100: nothing short of certain is shown as certain.
const percent = (share) => `${(Math.floor(1000 * Math.min(share, 0.9999)) / 10).toFixed(1)}\u00a0%`;

const camera = (error) =>
  ({
    NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, or take a file.",
    NotFoundError: "No camera was found; take a file.",
    NotReadableError: "The camera is in use elsewhere; close that, or take a file.",
  })[error.name] ?? `The camera cannot be used (${error.name}); take a file.`;

// config: ort and model (addresses), classes, familiarity (percentiles 0 to 100, or empty).
export const start = (root, config) => {
  const find = (name) => root.querySelector(`[data-cl="${name}"]`);
  const [drop, file, open, live, video, status, result] = [
    "drop", "file", "camera", "live", "video", "status", "result",
  ].map(find);
  const say = (text, wrong = false) => {
    status.textContent = text;
    status.classList.toggle("cl-wrong", wrong);
  };

  let network, stream, turn = 0;
  const ready = () => {
    if (!network) {
      say("Fetching the network, once …");
      network = load(config);
      network.catch(() => (network = undefined));
    }
    return network;
  };

  const show = (name, picture, answer) => {
    const given = find("given"), seen = find("seen");
    given.width = picture.width;
    given.height = picture.height;
    given.getContext("2d").drawImage(picture.canvas, 0, 0);
    given.setAttribute("aria-label", `The picture: ${name}`);
    const side = Math.sqrt(answer.seen.length / 3), small = new ImageData(side, side);
    for (let k = 0; k < side * side; k++) {
      small.data.set(answer.seen.subarray(3 * k, 3 * k + 3), 4 * k);
      small.data[4 * k + 3] = 255;
    }
    seen.width = seen.height = side;
    seen.getContext("2d").putImageData(small, 0, 0);

    const order = [...answer.probabilities.keys()].sort((a, b) => answer.probabilities[b] - answer.probabilities[a]);
    find("bars").replaceChildren(...order.slice(0, SHOWN).map((k) => {
      const item = document.createElement("li"), share = answer.probabilities[k];
      for (const [kind, text] of [["class", config.classes[k]], ["bar", ""], ["share", percent(share)]]) {
        const part = document.createElement("span");
        part.className = `cl-${kind}`;
        part.textContent = text;
        if (kind === "bar") part.setAttribute("aria-hidden", "true");
        if (kind === "bar") part.style.setProperty("--share", `${100 * share}%`);
        item.append(part, " ");
      }
      return item;
    }));
    find("details").textContent = `${name}: ${picture.done}.`;
    find("familiar").textContent = familiar(answer.logits);
    result.hidden = false;
    // For whoever wants the numbers themselves, such as a test.
    root.dataset.probabilities = JSON.stringify([...answer.probabilities]);
    say(`${config.classes[order[0]]}, ${percent(answer.probabilities[order[0]])}, in ${answer.ms.toFixed(1)} ms`);
  };

  const familiar = (logits) => {
    if (!config.familiarity.length) return "";
    const most = Math.max(...logits);
    const value = most + Math.log(logits.reduce((sum, z) => sum + Math.exp(z - most), 0));
    const below = config.familiarity.filter((q) => q < value).length;
    const text = below < 1 ? "Not one of the test images looked less familiar to it."
      : below > 100 ? "No test image looked more familiar to it."
      : `About ${below}\u00a0% of the test images looked less familiar to it.`;
    return below > 5 ? text : `${text} Perhaps this is none of its classes.`;
  };

  // `picture` is a promise. Only the last one asked for is shown, whichever is ready first.
  const answer = async (name, picture) => {
    const mine = ++turn;
    try {
      const pixels = await picture;
      const classify = await ready();
      const found = await classify(pixels);
      if (mine === turn) show(name, pixels, found);
    } catch (error) {
      if (mine !== turn) return;
      say(error instanceof Refused ? error.message : `The network cannot run here (${String(error.message ?? error).split("\n")[0]}).`, true);
    }
  };
  const take = (files) => {
    if (files.length) answer(files[0].name, readPicture(files[0], files[0].name));
  };

  drop.addEventListener("click", () => file.click());
  file.addEventListener("click", () => (file.value = "")); // the same file can be chosen again
  file.addEventListener("change", () => take(file.files));
  for (const kind of ["dragenter", "dragover"])
    root.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("cl-over");
    });
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(event.relatedTarget)) drop.classList.remove("cl-over");
  });
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("cl-over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
    else say("That was no file. Save the picture first, then drop the file.", true);
  });
  document.addEventListener("paste", (event) => {
    if (event.target instanceof Element && event.target.closest("input, textarea")) return;
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) answer("pasted picture", readPicture(files[0], "What was pasted"));
    else if (root.contains(document.activeElement)) say("There is no picture on the clipboard.", true);
  });
  for (const button of root.querySelectorAll("[data-cl=sample]"))
    button.addEventListener("click", () => {
      const image = button.querySelector("img");
      answer(image.alt, readPicture(blobOf(image.src), image.alt));
    });

  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = undefined;
    video.srcObject = null;
    live.hidden = true;
    open.hidden = false;
  };
  open.addEventListener("click", async () => {
    if (!navigator.mediaDevices?.getUserMedia)
      return say("There is no camera here: a browser offers one on https pages and on localhost only.", true);
    open.disabled = true; // while the browser asks; a second press would open a second stream
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.srcObject = stream;
      live.hidden = false;
      open.hidden = true;
      await video.play();
      find("shoot").focus();
      say("The camera is on. Nothing leaves this page.");
    } catch (error) {
      close();
      say(camera(error), true);
    } finally {
      open.disabled = false;
    }
  });
  find("shoot").addEventListener("click", () => {
    if (video.videoWidth)
      answer("camera", Promise.resolve(pixelsOf(video, video.videoWidth, video.videoHeight)));
  });
  find("close").addEventListener("click", () => {
    close();
    open.focus();
    say("The camera is off.");
  });

  find("app").hidden = false;
};
