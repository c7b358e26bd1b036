// Loaded on pages with widgets. Their manager weighs 3.6 MB, so it is fetched when the reader comes
// near to a widget, from _static/vendor/, where it also looks for its icon fonts.
const vendor = new URL(".", document.currentScript.src).href;
window.require = {
  baseUrl: vendor,
  paths: {
    "@jupyter-widgets": "html-manager",
    "@jupyter-widgets/html-manager/dist/libembed-amd": "html-manager/libembed-amd",
  },
};

const load = (name, attributes = {}) =>
  new Promise((loaded, failed) => {
    const script = Object.assign(document.createElement("script"), { src: vendor + name });
    for (const [key, value] of Object.entries(attributes)) script.setAttribute(key, value);
    script.addEventListener("load", loaded);
    script.addEventListener("error", failed);
    document.head.append(script);
  });

// The manager draws all widgets of the page at once, and asks no server for those that it lacks.
const draw = async () => {
  await load("requirejs/require.js");
  await load("html-manager/embed-amd.js", { "data-jupyter-widgets-cdn": "about:blank#" });
};

document.addEventListener("DOMContentLoaded", () => {
  const near = new IntersectionObserver(
    (seen) => {
      if (!seen.some((place) => place.isIntersecting)) return;
      near.disconnect();
      draw();
    },
    { rootMargin: "1000px" },
  );
  for (const view of document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')) {
    view.parentElement.style.minHeight = "20rem"; // or the page would jump when it comes
    near.observe(view.parentElement);
  }
});

// ipywidgets gives slider handles and play buttons no name: a screen reader says "button".
const nameControls = () => {
  for (const handle of document.querySelectorAll(".jupyter-widgets .noUi-handle:not([aria-label])")) {
    const label = handle.closest(".jupyter-widgets").querySelector(".widget-label");
    handle.setAttribute("aria-label", label?.textContent || "value");
  }
  for (const play of document.querySelectorAll(".widget-play"))
    play.querySelectorAll("button:not([aria-label])").forEach((button, i) =>
      button.setAttribute("aria-label", ["Play", "Stop", "Repeat"][i] ?? "Play"));
};
new MutationObserver(nameControls).observe(document.documentElement, { childList: true, subtree: true });
