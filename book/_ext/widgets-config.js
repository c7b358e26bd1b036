// Loaded before require.js, on pages with widgets only. The widget bundle is looked for below
// _static/vendor/html-manager/, so that it finds its icon fonts there and not beside the page.
window.require = {
  baseUrl: new URL(".", document.currentScript.src).href,
  paths: {
    "@jupyter-widgets": "html-manager",
    "@jupyter-widgets/html-manager/dist/libembed-amd": "html-manager/libembed-amd",
  },
};

// ipywidgets speaks to MathJax 2 and breaks off where it meets MathJax 3: answer in its language.
const hub = { Queue: ([, , element]) => window.MathJax.typesetPromise?.([element]) };
let mathjax = window.MathJax;
const withHub = (value) => (value ? Object.assign(value, { Hub: hub }) : value);
Object.defineProperty(window, "MathJax", {
  configurable: true,
  get: () => mathjax,
  set: (value) => (mathjax = withHub(value)),
});
withHub(mathjax);

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
