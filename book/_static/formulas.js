// Loaded on every page. A displayed formula that is wider than the screen scrolls on its own:
// let the keyboard reach it, too.
const reachWideFormulas = () => {
  for (const formula of document.querySelectorAll('.katex-display'))
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
};
window.addEventListener("load", () => document.fonts.ready.then(reachWideFormulas));
window.addEventListener("resize", reachWideFormulas);
