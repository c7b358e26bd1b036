// A network in ONNX Runtime's WebAssembly: raw pixels in, probabilities out. No other file knows it.

let runtime; // one for the page, and fetched only when a picture is there

const start = (folder) => {
  runtime ??= import(new URL("ort.wasm.bundle.min.mjs", folder).href).then((ort) => {
    // More threads would need headers that a plain server does not send.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", folder).href };
    ort.env.logLevel = "error";
    return ort;
  });
  runtime.catch(() => (runtime = undefined)); // so that a second try fetches again
  return runtime;
};

let failed = false;

// After a failure past the browser's cache: it may keep what failed, and a server that counts in
// seconds says of a file mended within one that nothing changed.
const fetched = async (address) => {
  const answer = await fetch(address, { cache: failed ? "reload" : "default" });
  if (!answer.ok) throw new Error(`status ${answer.status} for the network`);
  return new Uint8Array(await answer.arrayBuffer());
};

// Returns a function: a picture {width, height, rgb} -> {logits, probabilities, seen, ms}.
// `seen` is what the network's own graph made of it, RGB of 32 x 32 pixels.
export const load = async ({ ort: folder, model }) => {
  const ort = await start(folder);
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
  const session = await fetched(model)
    .then((bytes) => ort.InferenceSession.create(bytes, options))
    .catch((error) => {
      failed = true;
      throw error;
    });
  const classify = async ({ width, height, rgb }) => {
    const picture = new ort.Tensor("uint8", rgb, [height, width, 3]);
    const began = performance.now();
    const { logits, probabilities, seen } = await session.run({ picture });
    const ms = performance.now() - began;
    return { logits: logits.data, probabilities: probabilities.data, seen: seen.data, ms };
  };
  // The first pass sets up memory, and would be shown as the time of a picture.
  await classify({ width: 1, height: 1, rgb: new Uint8Array(3) });
  return classify;
};
